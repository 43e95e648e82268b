"""The main job: simulate, calibrate, validate, report, mode by mode."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from rich.console import Console

from uptheramp.calibrate.io import finished
from uptheramp.calibrate.reduce import Progress
from uptheramp.calibrate.settings import recipe
from uptheramp.scenarios import identity
from uptheramp.scenarios.judge import check, judge_reduction, true_channels
from uptheramp.scenarios.limit import pink_covariance
from uptheramp.scenarios.picture import mode_report
from uptheramp.scenarios.progress import bars
from uptheramp.scenarios.reduced import Fitted, Reduced, fit_planet, reduce_exposure, write_planet
from uptheramp.scenarios.scenario import ModeBlock, Scenario, observation_of
from uptheramp.scenarios.twin import mean_rendering, rendered_curves
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps import level1b, references
from uptheramp.simulate.ramps.render import Constants, build
from uptheramp.simulate.truth import Truth, load
from uptheramp.validate import metrics_file, report
from uptheramp.validate.metrics_file import ModeMetrics
from uptheramp.validate.report_types import ModeReport, Report


@dataclass(frozen=True)
class ModeRun:
    """One mode of a scenario, run."""

    block: ModeBlock
    observation: Observation
    constants: Constants
    truth: Truth
    reduced: Reduced
    fitted: Fitted
    twin: Fitted
    metrics: ModeMetrics
    true_depth: np.ndarray
    seconds: float


def simulate_mode(
    scenario: Scenario, block: ModeBlock, folder: Path, progress: Progress, grades: tuple[str, ...] = references.GRADES
) -> tuple[Observation, Constants, list[Path]]:
    """Write the exposure of one mode, its references and its truth, unless an earlier run has finished them."""
    observation = observation_of(scenario, block)
    constants = build(observation)
    made_from = _origin(scenario, block)
    truth = folder / "truth"
    refs = [folder / "references" / grade for grade in grades]
    files, *others = (finished.all_made(place, made_from) for place in (folder, truth, *refs))
    if files and all(others):
        return observation, constants, files
    files = level1b.write(
        observation,
        folder,
        constants=constants,
        integrations_per_segment=block.integrations_per_segment or None,
        truth_integrations=block.truth_integrations,
        progress=lambda done, total: progress("simulate", done, total),
    )
    written = references.write(observation, constants, folder, grades=grades, only=scenario.reduction.wrong)
    finished.remember([*truth.glob("truth.*"), *truth.glob("ramps.*"), *written, *files], made_from)
    return observation, constants, files


def _origin(scenario: Scenario, block: ModeBlock) -> str:
    """What a simulated exposure and its references are made from: the scenario less how it is reduced, and the code."""
    asked = identity.question(scenario, block, "ramps", full=True) | {"reduction": {"wrong": scenario.reduction.wrong}}
    return identity.digest({**asked, "name": scenario.name, "seed": scenario.seed, "code": identity.code().source})


def run_mode(
    scenario: Scenario, block: ModeBlock, folder: Path, overrides: Mapping[str, str], progress: Progress
) -> ModeRun:
    """Simulate, reduce and judge one mode."""
    start = perf_counter()
    choices = scenario.reduction
    observation, constants, files = simulate_mode(scenario, block, folder, progress)
    range_um = block.range_um or observation.mode.useful_range_um
    power = block.resolving_power or choices.resolving_power
    settings = {**(choices.parameters or {}), **overrides}
    refs = folder / "references" / choices.references
    reduced = reduce_exposure(files, folder, refs, choices.table, settings, power, range_um, progress)
    truth = load(folder / "truth")
    true = true_channels(reduced, observation, truth)
    fitted = fit_planet(reduced.curves, true.system, choices.limb_darkening, choices.baseline_degree)
    write_planet(folder, reduced.exposure.root, fitted, true.system, choices.limb_darkening)
    mean = rendered_curves(mean_rendering(observation, constants), reduced)
    progress("noise-free twin", 1, 1)
    progress("limit of 1/f noise", 0, 1)  # minutes, in a large window
    pink = pink_covariance(reduced, observation, constants, truth)
    progress("limit of 1/f noise", 1, 1)
    twin = fit_planet(mean, true.system, choices.limb_darkening, choices.baseline_degree)
    metrics = judge_reduction(
        block.label, fitted, true, observation, twin, pink, modes=len(scenario.mode), resolving_power=power
    )
    metrics_file.write(folder / "metrics.json", [metrics])
    seconds = perf_counter() - start
    return ModeRun(block, observation, constants, truth, reduced, fitted, twin, metrics, true.depth, seconds)


def simulate_scenario(scenario: Scenario, out: Path) -> None:
    """Write the exposures of every mode."""
    for block in scenario.mode:
        with bars(block.label) as progress:
            simulate_mode(scenario, block, out / block.label, progress)


def run_scenario(scenario: Scenario, out: Path, overrides: Mapping[str, str]) -> None:
    """Run every mode; writes a folder for each and `metrics.json` and `report.html` over all."""
    check(scenario)
    for block in scenario.mode:  # refuse what cannot run before anything is rendered
        observation = observation_of(scenario, block)
        settings = {**(scenario.reduction.parameters or {}), **overrides}
        family, exp_type = observation.instrument.step_family, observation.mode.exp_type
        recipe(scenario.reduction.table, family, exp_type, settings)
    console = Console()
    pages: list[ModeReport] = []
    metrics: list[ModeMetrics] = []
    for block in scenario.mode:
        with bars(block.label) as progress:
            done = run_mode(scenario, block, out / block.label, overrides, progress)
        pages.append(mode_report(scenario, done))
        metrics.append(done.metrics)
        report.write(out / block.label / "report.html", page(scenario, [pages[-1]], overrides))
        console.print(f"{block.label}: {done.metrics.verdict} ({done.seconds:.0f} s)", highlight=False)
    metrics_file.write(out / "metrics.json", metrics)
    report.write(out / "report.html", page(scenario, pages, overrides))
    console.print(f"report: {out / 'report.html'}", highlight=False, soft_wrap=True)


def page(scenario: Scenario, modes: list[ModeReport], overrides: Mapping[str, str]) -> Report:
    """The report of some modes of a scenario."""
    settings = "".join(f" --set {key}={value}" for key, value in overrides.items())
    table = f" --pipeline {scenario.reduction.table}"
    only = "".join(f" --mode {block.label}" for block in scenario.mode)
    return Report(
        title=f"uptheramp: {scenario.name}",
        summary=scenario.summary,
        command=f"uptheramp run {scenario.name} --seed {scenario.seed}{table}{only}{settings}",
        modes=tuple(modes),
    )
