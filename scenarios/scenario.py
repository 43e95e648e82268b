"""A scenario: what is observed, how, and how it is reduced and judged, as strict TOML.

    name, summary, seed, [star], [planet], [reduction], then one [[mode]] block per mode with what differs there.

Wavelength-dependent quantities are curves `{ x = [...], y = [...] }`, linear between the knots, constant beyond.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from math import asin, cos, pi, radians, sin, sqrt
from pathlib import Path

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Curve
from uptheramp.calibrate.tables import load

DAY_S = 86400.0


@dataclass(frozen=True)
class StarBlock:
    """The star: a blackbody of `teff_k`, or a table of flux density, scaled to a K magnitude."""

    teff_k: float
    k_mag: float
    flux_jy: Curve | None = None  # shape only, against micron


@dataclass(frozen=True)
class PlanetBlock:
    """The planet and its orbit; `t0` is placed in the middle of the exposure."""

    period_d: float
    a_rs: float
    inclination_deg: float
    radius_ratio: Curve
    u1: Curve
    u2: Curve
    eccentricity: float = 0.0
    omega_deg: float = 90.0


@dataclass(frozen=True)
class ReductionBlock:
    """How it is reduced: step table, references, bins, what the light-curve fit leaves free."""

    table: str = "recommended"
    references: str = "estimated"  # oracle | estimated | wrong
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
    effects_off: tuple[str, ...] = ()
    integrations_per_segment: int = 0


@dataclass(frozen=True)
class Scenario:
    """The whole question."""

    name: str
    summary: str
    star: StarBlock
    planet: PlanetBlock
    mode: tuple[ModeBlock, ...]
    reduction: ReductionBlock = ReductionBlock()
    seed: int = 1
    detector_seed: int = 1366
    start_bjd_tdb: float = 59770.8  # BJD_TDB - 2400000.5 of the first integration


def catalogue() -> dict[str, Path]:
    """Scenarios that come with the package, by name."""
    folder = files("uptheramp.scenarios") / "catalog"
    return {Path(str(p)).stem: Path(str(p)) for p in sorted(folder.iterdir(), key=str) if p.name.endswith(".toml")}


def find(name: str) -> Scenario:
    """A scenario by catalogue name or TOML path.

    Raises
    ------
    InputError
        If it is neither, or if the file has unknown keys, wrong types or senseless values.
    """
    known = catalogue()
    path = known.get(name, Path(name))
    if not path.is_file():
        raise InputError(f"{name}: no such scenario file, and the catalogue has only {', '.join(known)}")
    return checked(load(path, Scenario), path)


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
    if scenario.reduction.limb_darkening not in ("fixed", "fitted"):
        raise InputError(f"{path}: reduction.limb_darkening is {scenario.reduction.limb_darkening!r}: fixed or fitted")
    for label, block in zip(labels, scenario.mode, strict=True):
        for key, value in (("ngroups", block.ngroups), ("nints", block.nints)):
            if value < 1:
                raise InputError(f"{path}: mode {label}: {key} is {value}; at least 1 is needed")
    planet = scenario.planet
    if min(planet.radius_ratio.y) < 0:
        raise InputError(f"{path}: planet.radius_ratio is negative; a depth cannot be")
    if impact(planet) > 1 + max(planet.radius_ratio.y):
        raise InputError(f"{path}: the planet does not transit (impact parameter {impact(planet):.2f})")
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


def impact(planet: PlanetBlock) -> float:
    """Impact parameter at transit, in stellar radii: a cos i (1 - e^2) / (1 + e sin w)."""
    e, w = planet.eccentricity, radians(planet.omega_deg)
    return planet.a_rs * cos(radians(planet.inclination_deg)) * (1 - e**2) / (1 + e * sin(w))


def transit_duration_d(planet: PlanetBlock) -> float:
    """First to fourth contact, d (Winn 2010, eqs 14 and 16), with the largest radius ratio."""
    k, b, e, w = max(planet.radius_ratio.y), impact(planet), planet.eccentricity, radians(planet.omega_deg)
    inclination = radians(planet.inclination_deg)
    chord = sqrt((1 + k) ** 2 - b**2) / planet.a_rs / sin(inclination)
    return planet.period_d / pi * asin(chord) * sqrt(1 - e**2) / (1 + e * sin(w))


def compression(block: ModeBlock, planet: PlanetBlock, cadence_s: float) -> float:
    """How many times faster the orbit runs than the real one (1: real)."""
    if block.integrations_in_transit == 0:
        return 1.0
    return transit_duration_d(planet) * DAY_S / (block.integrations_in_transit * cadence_s)
