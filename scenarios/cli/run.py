"""`uptheramp run`: simulate, calibrate, validate, report."""

from pathlib import Path
from typing import Annotated

import typer


def run(
    scenario: Annotated[str, typer.Argument(help="a catalogue name (uptheramp list) or a TOML file")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="folder to write [default: the scenario's name]")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="another seed for every random draw")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="step.parameter=value, repeatable")] = None,
    pipeline: Annotated[str | None, typer.Option(help="step table: recommended, jwst_3_0, jwst_2021")] = None,
    mode: Annotated[list[str] | None, typer.Option(help="only this mode of the scenario, repeatable")] = None,
) -> None:
    """Simulate a scenario, reduce it, judge the result against the truth and write a report."""
    from uptheramp.scenarios import cache
    from uptheramp.scenarios.options import parsed
    from uptheramp.scenarios.run import run_scenario
    from uptheramp.scenarios.scenario import changed, find

    cache.enable()
    question = changed(find(scenario), seed=seed, table=pipeline, modes=mode)
    run_scenario(question, out or Path(question.name), parsed(settings))
