"""`uptheramp lightcurve`: fit a transit or an eclipse to any light curves."""

from pathlib import Path
from typing import Annotated

import typer


def lightcurve(
    file: Annotated[Path, typer.Argument(help="light curves: _whtlt.ecsv, _phot.ecsv, ECSV, CSV, text, npy or FITS")],
    system: Annotated[
        str, typer.Option(help="TOML with orbit, limb darkening and priors, or a name such as wasp-39b")
    ] = "",
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for the products")] = Path(),
    eclipse: Annotated[bool, typer.Option("--eclipse", help="fit a secondary eclipse, not a transit")] = False,
    limb_darkening: Annotated[str, typer.Option(help="fixed at the table's values, or fitted")] = "fixed",
    orbit: Annotated[str, typer.Option(help="a/R* and impact parameter: fixed, or fitted")] = "fixed",
    sampler: Annotated[bool, typer.Option("--sampler", help="sample the posterior of the white light curve")] = False,
    compare: Annotated[list[Path] | None, typer.Option(help="published spectrum to draw beside, repeatable")] = None,
) -> None:
    """Fit the white light curve and, where there are several, each channel; write numbers and a figure."""
    from uptheramp.scenarios import cache
    from uptheramp.scenarios.fits import fit_file

    cache.enable()
    choices = {"limb_darkening": limb_darkening, "orbit": orbit, "kind": "eclipse" if eclipse else "transit"}
    for path in fit_file(file, system, out, choices, sampler, tuple(compare or ())):
        typer.echo(path)
