"""The command line: one file per command, heavy imports inside the functions."""

import sys

import typer

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios.cli.calibrate import calibrate
from uptheramp.scenarios.cli.dashboard import dashboard
from uptheramp.scenarios.cli.fit import fit
from uptheramp.scenarios.cli.huge_pages import restart_with_huge_pages
from uptheramp.scenarios.cli.lightcurve import lightcurve
from uptheramp.scenarios.cli.listing import listing
from uptheramp.scenarios.cli.results import results
from uptheramp.scenarios.cli.run import run
from uptheramp.scenarios.cli.sensitivity import sensitivity
from uptheramp.scenarios.cli.simulate import simulate
from uptheramp.scenarios.cli.sweep import sweep
from uptheramp.scenarios.cli.validate import validate

app = typer.Typer(
    name="uptheramp",
    help="Detector ramps whose truth is known, a calibration core, and the judge between them, for JWST time series.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run)
app.command("simulate")(simulate)
app.command("calibrate")(calibrate)
app.command("lightcurve")(lightcurve)
app.command("validate")(validate)
app.command("sweep")(sweep)
app.command("fit")(fit)
app.command("sensitivity")(sensitivity)
app.command("results")(results)
app.command("dashboard")(dashboard)
app.command("list")(listing)


def main() -> None:
    """Run the command line; bad input ends in one line on stderr and exit code 2."""
    restart_with_huge_pages()
    try:
        app()
    except InputError as error:
        sys.stderr.write(f"uptheramp: {' '.join(str(error).split())}\n")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        sys.stderr.write("uptheramp: stopped; finished files are kept, run the same command again\n")
        raise SystemExit(130) from None
