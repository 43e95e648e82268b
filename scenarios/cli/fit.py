"""`uptheramp fit`: detector parameters from ramps."""

from pathlib import Path
from typing import Annotated

import typer


def fit(
    file: Annotated[str, typer.Argument(help="a catalogue name (uptheramp list) or a TOML file")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="folder to write [default: the fit's name]")] = None,
) -> None:
    """Fit detector systematics to ramps by gradient; write parameters with errors, reference files and a report."""
    from uptheramp.scenarios import cache
    from uptheramp.scenarios.systematics.run import fit_file

    cache.enable()
    where = fit_file(file, out)
    typer.echo(f"report: {where / 'report.html'}")
