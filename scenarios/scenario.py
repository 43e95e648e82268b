"""A scenario: what is observed, how, and how it is reduced and judged, as strict TOML.

    name, summary, seed, [star], [planet], [reduction], then one [[mode]] block per mode with what differs there.

A scenario may inherit from another one (`inherit = "quickstart"`, layers.py). Wavelength-dependent quantities are
curves `{ x = [...], y = [...] }`, linear between the knots, constant beyond.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.times import DAY_S
from uptheramp.calibrate.settings import nearest
from uptheramp.calibrate.tables import structure
from uptheramp.scenarios import layers
from uptheramp.simulate.calibration import wrong
from uptheramp.simulate.observation import Observation, centred, observe
from uptheramp.simulate.optics.alignment import Alignment
from uptheramp.simulate.ramps import chain
from uptheramp.simulate.scene.field import FieldStar
from uptheramp.simulate.scene.planet import Planet
from uptheramp.simulate.scene.spots import Spot
from uptheramp.simulate.scene.star import Star


@dataclass(frozen=True)
class ReductionBlock:
    """How it is reduced: step table, references, bins, what the light-curve fit leaves free."""

    table: str = "recommended"
    references: str = "estimated"  # oracle | estimated | wrong
    wrong: tuple[str, ...] = ()  # which types err in `wrong` (simulate/calibration/wrong.py); none named: all
    resolving_power: float = 100.0
    limb_darkening: str = "fixed"  # fixed | fitted
    baseline_degree: int = 1
    parameters: dict[str, str] | None = None  # as --set


@dataclass(frozen=True)
class ModeBlock:
    """One mode of the scenario."""

    mode: str
    ngroups: int
    nints: int
    label: str = ""
    pattern: str = ""
    subarray: str = ""
    outputs: int = 0
    integrations_in_transit: float = 0.0  # compress the orbit so that T14 spans this many; 0 keeps it real
    k_mag: float | None = None
    resolving_power: float | None = None
    range_um: tuple[float, float] | None = None
    effects_off: tuple[str, ...] = ()  # names of effects (simulate/detector) that are switched off
    effects_on: tuple[str, ...] = ()  # names of effects that are off by default and switched on
    effects: dict[str, dict[str, Any]] | None = None  # knobs: [mode.effects.NAME] with the keys of its settings
    alignment: Alignment = Alignment()  # pupil wheel and tilt
    field_star: tuple[FieldStar, ...] = ()  # other stars on the detector
    integrations_per_segment: int = 0
    truth_integrations: int = 0  # of which the ramps are kept layer by layer in truth/ramps.npz


@dataclass(frozen=True)
class Scenario:
    """The whole question."""

    name: str
    summary: str
    star: Star
    planet: Planet
    mode: tuple[ModeBlock, ...]
    companion: tuple[Planet, ...] = ()
    spot: tuple[Spot, ...] = ()
    variability: str = ""  # ECSV light curve of the star, beside this file (simulate/scene/variability.py)
    reduction: ReductionBlock = ReductionBlock()
    seed: int = 1
    detector_seed: int = 1366
    start_bjd_tdb: float = 59770.8  # BJD_TDB - 2400000.5 of the first integration


def catalogue() -> dict[str, Path]:
    """Scenarios that come with the package, by name."""
    return layers.shipped("catalog")


def find(name: str, values: Mapping[str, Any] | None = None, folder: Path = Path()) -> Scenario:
    """A scenario by catalogue name or TOML path (relative to `folder`), with single values laid over the file's.

    `values` has dotted keys as in the file: `star.k_mag`; one under `mode` is laid over every mode.

    Raises
    ------
    InputError
        If it is neither, or if the file has unknown keys, wrong types or senseless values.
    """
    known = catalogue()
    path = layers.located(name, known, "scenario", folder)
    content = layers.read(path, known, "scenario")
    for key, value in (values or {}).items():
        content = layers.with_value(content, key, value)
    return checked(structure(content, Scenario, str(path)), path)


def checked(scenario: Scenario, path: Path) -> Scenario:
    """Refuse what makes no sense before anything is rendered; give every mode a label."""
    labels = [block.label or block.mode for block in scenario.mode]
    if not scenario.mode:
        raise InputError(f"{path}: no [[mode]] block; name at least one mode (uptheramp list)")
    if len(set(labels)) != len(labels):
        raise InputError(f"{path}: two modes share the label {next(x for x in labels if labels.count(x) > 1)!r}")
    if scenario.reduction.references not in ("oracle", "estimated", "wrong"):
        raise InputError(
            f"{path}: reduction.references is {scenario.reduction.references!r}: oracle, estimated or wrong"
        )
    unknown = [name for name in scenario.reduction.wrong if name not in wrong.NAMES]
    if unknown:
        raise InputError(f"{path}: reduction.wrong: unknown type {unknown[0]!r}; known: {', '.join(wrong.NAMES)}")
    if scenario.reduction.wrong and scenario.reduction.references != "wrong":
        raise InputError(f'{path}: reduction.wrong does nothing unless reduction.references = "wrong"')
    if scenario.reduction.limb_darkening not in ("fixed", "fitted"):
        raise InputError(f"{path}: reduction.limb_darkening is {scenario.reduction.limb_darkening!r}: fixed or fitted")
    for label, block in zip(labels, scenario.mode, strict=True):
        for key, value in (("ngroups", block.ngroups), ("nints", block.nints)):
            if value < 1:
                raise InputError(f"{path}: mode {label}: {key} is {value}; at least 1 is needed")
    deepest = max(scenario.planet.radius_ratio.y)
    if scenario.planet.impact > 1 + deepest:
        raise InputError(f"{path}: the planet does not transit (impact parameter {scenario.planet.impact:.2f})")
    if scenario.variability:
        scenario = replace(scenario, variability=str(path.parent / scenario.variability))
    return replace(
        scenario, mode=tuple(replace(b, label=label) for b, label in zip(scenario.mode, labels, strict=True))
    )


def changed(
    scenario: Scenario, seed: int | None = None, table: str | None = None, modes: Sequence[str] | None = None
) -> Scenario:
    """The scenario with what the command line overrides."""
    if seed is not None:
        scenario = replace(scenario, seed=seed)
    if table is not None:
        scenario = replace(scenario, reduction=replace(scenario.reduction, table=table))
    if modes:
        known = {block.label: block for block in scenario.mode}
        unknown = [label for label in modes if label not in known]
        if unknown:
            raise InputError(f"scenario {scenario.name} has no mode {unknown[0]!r}; it has {', '.join(known)}")
        scenario = replace(scenario, mode=tuple(known[label] for label in modes))
    return scenario


def settings_of(name: str, knobs: dict[str, Any], label: str) -> Any:
    """The knobs of an effect, as its settings class has them."""
    kind = chain.EFFECTS[name].settings
    if kind is None:
        raise InputError(f"mode {label}: effect {name} has no settings")
    return structure(knobs, kind, f"mode {label}, effects.{name}")


def observation_of(scenario: Scenario, block: ModeBlock) -> Observation:
    """The observation that a mode of the scenario asks for."""
    planet = scenario.planet
    switched = (*block.effects_off, *block.effects_on)
    unknown = [name for name in (*switched, *(block.effects or {})) if name not in chain.EFFECTS]
    if unknown:
        raise InputError(f"mode {block.label}: unknown effect {unknown[0]!r}{nearest(unknown[0], chain.EFFECTS)}")
    plain = observe(
        block.mode,
        ngroups=block.ngroups,
        nints=block.nints,
        star=scenario.star if block.k_mag is None else replace(scenario.star, k_mag=block.k_mag),
        planet=planet,
        subarray=block.subarray or None,
        pattern=block.pattern or None,
        outputs=block.outputs or None,
        seed=scenario.seed,
        detector_seed=scenario.detector_seed,
        companions=scenario.companion,
        field_stars=block.field_star,
        alignment=block.alignment,
        spots=scenario.spot,
        variability=Path(scenario.variability) if scenario.variability else None,
        effects=tuple({*chain.DEFAULT, *block.effects_on} - {*block.effects_off}),
        settings={name: settings_of(name, knobs, block.label) for name, knobs in (block.effects or {}).items()},
        start_bjd_tdb=scenario.start_bjd_tdb,
        target=scenario.name.upper(),
    )
    faster = (
        planet.duration_d * DAY_S / (block.integrations_in_transit * plain.cadence_s)
        if block.integrations_in_transit
        else 1.0
    )
    return centred(replace(plain, compression=faster, planet=planet))
