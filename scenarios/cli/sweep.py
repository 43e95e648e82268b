"""`uptheramp sweep`: run what a sweep asks for and the store lacks, then report."""

import os
from pathlib import Path
from typing import Annotated

import typer

from uptheramp.scenarios.cli.results import DEFAULT_STORE, STORE


def sweep(
    file: Annotated[str, typer.Argument(help="a catalogue name (uptheramp list) or a TOML file")],
    store: STORE = DEFAULT_STORE,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="folder for the report of the sweep")] = None,
    table: Annotated[Path | None, typer.Option(help="Markdown file for the tables of docs/")] = None,
    engine: Annotated[str, typer.Option(help="serial or processes")] = "processes",
    workers: Annotated[int, typer.Option(help="processes that work at once")] = os.cpu_count() or 1,
    seeds: Annotated[int | None, typer.Option(help="another number of seeds than the file says")] = None,
    mode: Annotated[list[str] | None, typer.Option(help="only this mode, repeatable")] = None,
) -> None:
    """Run a sweep; stopped or killed, the same command goes on where it was."""
    from uptheramp.scenarios.sweeping import run_sweep

    choices = {"engine": engine, "workers": workers, "seeds": seeds, "modes": tuple(mode or ())}
    if run_sweep(file, store, out=out, table=table, **choices):
        raise typer.Exit(1)
