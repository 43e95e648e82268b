"""From a sweep to its cases and tasks: everything is checked here, before anything runs."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.settings import recipe
from uptheramp.scenarios import judge
from uptheramp.scenarios.identity import NAMES
from uptheramp.scenarios.scenario import Scenario, changed, find, observation_of
from uptheramp.scenarios.store.rows import Member, StoredSweep
from uptheramp.scenarios.sweep.file import Sweep
from uptheramp.scenarios.sweep.jobs import Plan
from uptheramp.scenarios.sweep.points import points
from uptheramp.scenarios.task import Asked, Task, ask, exposure_id

STAGES = {"spectrum": (1, 2, 3), "rate": (1,)}


def plan(sweep: Sweep, folder: Path = Path()) -> Plan:
    """Lay out a sweep; scenarios are named from `folder`.

    Raises
    ------
    InputError
        For whatever could not run: unknown keys, steps, modes; values of a wrong type; a knob without effect.
    """
    members: list[Member] = []
    asked: dict[str, Asked] = {}
    seeds: dict[str, range] = {}
    for number, knobs in enumerate(points(sweep)):
        scenario = scenario_at(sweep, knobs, folder)
        start = sweep.first_seed if sweep.paired else sweep.first_seed + number * sweep.seeds
        for block in scenario.mode:
            one = ask(scenario, block, sweep.level)
            _check(one, knobs)
            if one.case.id not in asked:  # points of a draw from short lists may coincide
                members.append(Member(one.case.id, block.label, number, knobs))
            asked.setdefault(one.case.id, one)
            seeds.setdefault(one.case.id, range(start, start + sweep.seeds))
    stored = StoredSweep(sweep.name, sweep.summary, asdict(sweep), tuple(members))
    return Plan(stored, tuple(asked.values()), tuple(_tasks(sweep, asked, seeds)))


def scenario_at(sweep: Sweep, knobs: Mapping[str, Any], folder: Path) -> Scenario:
    """The scenario with the knobs of a point: keys of the scenario are laid over it, all others are step parameters."""
    tables = {f.name for f in fields(Scenario)}
    turned = {**(sweep.set or {}), **knobs}
    ours = {key: value for key, value in turned.items() if key.partition(".")[0] in tables}
    scenario = changed(find(sweep.scenario, ours, folder), modes=sweep.modes)
    steps = {key: text(value) for key, value in turned.items() if key not in ours}
    wrong = next((key for key in turned if key in NAMES or (key in steps and "." not in key)), None)
    if wrong is not None:
        raise InputError(f"sweep {sweep.name}: {wrong!r} is no knob; turn a key of the scenario or step.parameter")
    if not steps:
        return scenario
    parameters = {**(scenario.reduction.parameters or {}), **steps}
    return replace(scenario, reduction=replace(scenario.reduction, parameters=parameters))


def text(value: Any) -> str:
    """A value as `--set` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check(one: Asked, knobs: Mapping[str, Any]) -> None:
    """Refuse now what would fail later, and knobs that another key makes idle."""
    if one.case.level == "spectrum":
        judge.check(one.scenario)
    observation = observation_of(one.scenario, one.block)
    choices = one.scenario.reduction
    family, exp_type = observation.instrument.step_family, observation.mode.exp_type
    recipe(choices.table, family, exp_type, choices.parameters, STAGES[one.case.level])
    for idle, over in (("star.k_mag", one.block.k_mag), ("reduction.resolving_power", one.block.resolving_power)):
        if idle in knobs and over is not None:
            key = f"mode.{idle.partition('.')[2]}"
            raise InputError(f"knob {idle} does nothing: mode {one.block.label} has its own; turn {key} instead")


def _tasks(sweep: Sweep, asked: Mapping[str, Asked], seeds: Mapping[str, range]) -> list[Task]:
    """Cases that share an exposure make one task a seed; ordered by exposure, so that workers keep their programs."""
    groups: dict[tuple[str, range], list[Asked]] = {}
    for case, one in asked.items():
        groups.setdefault((exposure_id(one), seeds[case]), []).append(one)
    out = []
    for (_, numbers), cases in groups.items():
        for i, seed in enumerate(numbers):
            spectrum = sweep.level == "spectrum"
            extras = {"twin": spectrum and i < sweep.twins, "pink": spectrum and i < sweep.pink}
            task = Task(tuple(cases), sweep.level, seed, **extras)
            out.append(task)
            if i < sweep.antithetic:
                out.append(replace(task, mirror=True, twin=False, pink=False))
    return out
