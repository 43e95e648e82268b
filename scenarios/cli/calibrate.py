"""`uptheramp calibrate`: reduce exposures, simulated or from the archive."""

from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    files: Annotated[
        list[Path], typer.Argument(help="uncal, rateints, calints or x1dints files: the segments of one exposure")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for the products")],
    refs: Annotated[
        Path | None, typer.Option(help="folder of CRDS-format reference files, searched with its subfolders")
    ] = None,
    crds: Annotated[
        bool,
        typer.Option(
            "--crds", help="references by the crds client (CRDS_PATH, CRDS_CONTEXT); files of --refs come first"
        ),
    ] = False,
    stages: Annotated[str, typer.Option(help="which stages to run")] = "1,2,3",
    table: Annotated[str, typer.Option(help="step table: recommended, jwst_3_0, jwst_2021")] = "recommended",
    system: Annotated[
        Path | None, typer.Option(help="TOML with orbit, limb darkening, bins: fits the light curves")
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="step.parameter=value, repeatable")] = None,
) -> None:
    """Reduce the files of one exposure, entering at the stage they belong to."""
    from uptheramp.scenarios import cache
    from uptheramp.scenarios.options import parsed
    from uptheramp.scenarios.options import stages as numbers
    from uptheramp.scenarios.progress import bars
    from uptheramp.scenarios.real import calibrate_files

    cache.enable()
    with bars("calibrate") as progress:
        products = calibrate_files(
            files, out, refs, numbers(stages), table, system, parsed(settings), progress, from_crds=crds
        )
    for path in products:
        typer.echo(path)
