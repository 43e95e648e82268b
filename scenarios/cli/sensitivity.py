"""`uptheramp sensitivity`: what each reference's error does to the planet's spectrum."""

from pathlib import Path
from typing import Annotated

import typer


def sensitivity(
    file: Annotated[str, typer.Argument(help="a catalogue name (uptheramp list) or a TOML file")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="folder to write [default: the file's name]")] = None,
) -> None:
    """Differentiate the depths by references and step parameters; rank stated uncertainties in ppm, with maps."""
    from uptheramp.scenarios import cache
    from uptheramp.scenarios.systematics.sensitivity_run import sensitivity_file

    cache.enable()
    where = sensitivity_file(file, out)
    typer.echo(f"report: {where / 'report.html'}")
