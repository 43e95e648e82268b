"""`uptheramp simulate`: write the exposures of a scenario, with references and truth."""

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    scenario: Annotated[str, typer.Argument(help="a catalogue name (uptheramp list) or a TOML file")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder to write")],
    seed: Annotated[int | None, typer.Option(help="another seed for every random draw")] = None,
    mode: Annotated[list[str] | None, typer.Option(help="only this mode of the scenario, repeatable")] = None,
) -> None:
    """Write Level-1b segments, matching reference files in three grades, and the truth."""
    from uptheramp.scenarios import cache
    from uptheramp.scenarios.run import simulate_scenario
    from uptheramp.scenarios.scenario import changed, find

    cache.enable()
    simulate_scenario(changed(find(scenario), seed=seed, modes=mode), out)
