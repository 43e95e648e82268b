"""`uptheramp results`: look into the store."""

from pathlib import Path
from typing import Annotated

import typer

STORE = Annotated[str, typer.Option("--store", help="file of the store, or the URL of a database")]
DEFAULT_STORE = "uptheramp-store.sqlite"


def results(
    store: STORE = DEFAULT_STORE,
    sweep: Annotated[str | None, typer.Option(help="only the cases of this sweep")] = None,
    scenario: Annotated[str | None, typer.Option(help="only this scenario")] = None,
    mode: Annotated[str | None, typer.Option(help="only this mode, by its label")] = None,
    level: Annotated[str | None, typer.Option(help="spectrum or rate")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="only this metric, repeatable")] = None,
    code: Annotated[
        str | None, typer.Option(help="source or commit of a version [default: newest of each case]")
    ] = None,
    seeds: Annotated[bool, typer.Option("--seeds", help="a row for each seed instead of means")] = False,
    export: Annotated[Path | None, typer.Option(help="write all rows found to this .csv or .parquet")] = None,
) -> None:
    """Show the figures that are kept, as means over seeds, newest version of the code first."""
    from rich.console import Console

    from uptheramp.scenarios.look import found, table
    from uptheramp.scenarios.store import export as exporter
    from uptheramp.scenarios.store.store import Store, Wanted

    kept = Store(store, new=False)
    rows = found(kept, Wanted(scenario=scenario, mode=mode, level=level), sweep, code)
    if export is not None:
        typer.echo(f"{export}: {exporter.write(export, rows)} rows")
        return
    Console().print(table(kept, rows, tuple(metric or ()), sweep, each=seeds))
