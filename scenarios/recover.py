"""A task of level "spectrum": one exposure through all stages to planet spectra, one for each case that asks."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from uptheramp.calibrate.reduce import quiet
from uptheramp.calibrate.state import LightCurves
from uptheramp.scenarios.judge import TrueChannels, ers_sigma_ppm, freedom, true_channels, white_records
from uptheramp.scenarios.limit import pink_covariance
from uptheramp.scenarios.made_references import made
from uptheramp.scenarios.reduced import Reduced, fit_planet, reduce_exposure
from uptheramp.scenarios.scenario import observation_of
from uptheramp.scenarios.task import Asked, Task, seeded
from uptheramp.scenarios.twin import mean_rendering, rendered_curves
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps import level1b
from uptheramp.simulate.ramps.render import Constants, build
from uptheramp.simulate.truth import Truth, load
from uptheramp.validate.record import Record
from uptheramp.validate.recovery import alpha_for
from uptheramp.validate.seed_records import depth_records


@dataclass(frozen=True)
class Answer:
    """What a case gets: figures, arrays for the ensemble, and which references were used."""

    records: tuple[Record, ...]
    arrays: dict[str, np.ndarray]
    references: str


@dataclass(frozen=True)
class _Reduction:
    """An exposure reduced in one way, before light curves are fitted."""

    reduced: Reduced
    true: TrueChannels
    references: str
    mean: LightCurves | None
    pink: np.ndarray | None


def answers(task: Task) -> list[Answer]:
    """Simulate the exposure once, reduce it once in each way that is asked for, fit it once for each case."""
    first = task.asked[0]
    observation = replace(observation_of(seeded(first, task.seed), first.block), antithetic=task.mirror)
    constants = build(observation)
    reductions: dict[str, _Reduction] = {}
    out = []
    with TemporaryDirectory(prefix="uptheramp-exposure-") as name:
        folder = Path(name)
        files = level1b.write(observation, folder, constants=constants)
        truth = load(folder / "truth")
        for asked in task.asked:
            way = repr(_way(asked, observation))
            if way not in reductions:
                where = folder / str(len(reductions))
                reductions[way] = _reduce(task, asked, observation, constants, files, where, truth)
            out.append(_answer(asked, observation, reductions[way]))
    return out


def _way(asked: Asked, observation: Observation) -> tuple[Any, ...]:
    """What a reduction depends on: everything of it but the fit."""
    r, block = asked.scenario.reduction, asked.block
    power = block.resolving_power or r.resolving_power
    return (
        r.table,
        (r.references, r.wrong),
        r.parameters or {},
        power,
        block.range_um or observation.mode.useful_range_um,
    )


def _reduce(
    task: Task, asked: Asked, observation: Observation, constants: Constants, files: list[Path], out: Path, truth: Truth
) -> _Reduction:
    table, _, parameters, power, range_um = _way(asked, observation)
    refs, references = made(asked, observation, constants)
    reduced = reduce_exposure(files, out, refs, table, parameters, power, range_um, quiet)
    mean = pink = None
    if task.twin:
        mean = rendered_curves(mean_rendering(observation, constants), reduced)
    if task.pink:
        pink = pink_covariance(reduced, observation, constants, truth)
    return _Reduction(reduced, true_channels(reduced, observation, truth), references, mean, pink)


def _answer(asked: Asked, observation: Observation, how: _Reduction) -> Answer:
    choices, true = asked.scenario.reduction, how.true
    fitted = fit_planet(how.reduced.curves, true.system, choices.limb_darkening, choices.baseline_degree)
    twin = None
    if how.mean is not None:
        twin = fit_planet(how.mean, true.system, choices.limb_darkening, choices.baseline_degree)
    arrays = {
        "wavelength_um": np.asarray(fitted.planet.wavelength_um),
        "depth": np.asarray(fitted.planet.depth),
        "covariance": np.asarray(fitted.planet.covariance),
        "truth": true.depth,
        "limits": true.limits,
        "residuals": np.asarray(freedom(fitted)),
    }
    if twin is not None:
        arrays["twin"] = np.asarray(twin.planet.depth)
    if how.pink is not None:
        power = asked.block.resolving_power or choices.resolving_power
        noise = np.sqrt(true.limits**2 + how.pink.diagonal())
        arrays |= {"pink": how.pink, "ers_sigma_ppm": np.asarray(ers_sigma_ppm(noise, observation, power))}
    planet = (arrays["wavelength_um"], arrays["depth"], arrays["covariance"])
    records = depth_records(*planet, true.depth, freedom(fitted), arrays.get("twin"))
    records += white_records(fitted, twin, true, how.pink, observation, alpha_for(1))
    return Answer(records, arrays, how.references)
