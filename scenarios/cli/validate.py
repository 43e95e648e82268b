"""`uptheramp validate`: judge products against the truth."""

from pathlib import Path
from typing import Annotated

import typer


def validate(
    products: Annotated[Path, typer.Argument(help="a _tspec.fits file, or a folder that holds one")],
    truth: Annotated[Path, typer.Option(help="the truth folder of the simulated exposure")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="where metrics.json goes [default: beside the products]")
    ] = None,
) -> None:
    """Compare a planet spectrum, ours or another pipeline's, with the truth of its exposure."""
    from uptheramp.scenarios.judge import judge_products

    for line in judge_products(products, truth, out):
        typer.echo(line)
