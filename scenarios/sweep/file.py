"""A sweep as strict TOML: which scenario, which knobs, which seeds.

    name = "jump threshold"
    summary = "What the threshold does to scatter and to truth."
    scenario = "quickstart"            # a catalogue name, or a file beside this one
    seeds = 10

    [[knob]]
    key = "jump.rejection_threshold"   # a step parameter
    values = [3.0, 4.0, 5.0]

    [[knob]]
    key = "reduction.references"       # or any key of the scenario
    values = ["estimated", "oracle"]

A sweep may inherit from another one (layers.py). The knobs make points by `sampling`: all combinations (grid), values
side by side (list), or `points` draws between `low` and `high` (random, sobol).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from uptheramp.calibrate.tables import structure
from uptheramp.scenarios import layers

WHAT = "sweep"


@dataclass(frozen=True)
class Knob:
    """One thing that is varied: `values`, or a range from `low` to `high`, even in itself or in its logarithm."""

    key: str
    values: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "log"] = "linear"

    def __post_init__(self):
        if bool(self.values) == (self.low is not None or self.high is not None):
            raise ValueError(f"knob {self.key}: give either values, or low and high")
        if self.values:
            return
        if self.low is None or self.high is None or not self.low < self.high:
            raise ValueError(f"knob {self.key}: low must be below high")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"knob {self.key}: a logarithmic range must begin above zero")


@dataclass(frozen=True)
class Sweep:
    """The whole sweep.

    Seed s of every point is the same noise (`paired`), so that settings are compared by their differences; unpaired
    points have seeds of their own. The first `antithetic` seeds also run with every normal deviate of the other sign,
    the first `twins` with the noise-free twin, the first `pink` with the covariance of 1/f noise.
    """

    name: str
    summary: str
    scenario: str
    level: Literal["spectrum", "rate"] = "spectrum"
    modes: tuple[str, ...] = ()  # labels; none means all
    seeds: int = 1
    first_seed: int = 1
    paired: bool = True
    antithetic: int = 0
    twins: int = 1
    pink: int = 1
    sampling: Literal["grid", "list", "random", "sobol"] = "grid"
    points: int = 0  # of random and sobol
    sampling_seed: int = 0
    knob: tuple[Knob, ...] = ()
    set: dict[str, Any] | None = None  # the same for every point; keys as of knobs

    def __post_init__(self):
        if self.seeds < 1 or self.first_seed < 0:
            raise ValueError("seeds must be at least 1, first_seed at least 0")
        if not 0 <= self.antithetic <= self.seeds:
            raise ValueError(f"antithetic is {self.antithetic}; it counts seeds, 0 to {self.seeds}")
        drawn = self.sampling in ("random", "sobol")
        if drawn and (self.points < 1 or not self.knob):
            raise ValueError(f"sampling {self.sampling} needs points of at least 1, and a knob")
        if not drawn and any(not knob.values for knob in self.knob):
            raise ValueError(f"sampling {self.sampling} needs values for every knob; ranges go with random and sobol")
        if self.sampling == "list" and len({len(knob.values) for knob in self.knob}) > 1:
            raise ValueError("sampling list needs equally many values for every knob")
        keys = [knob.key for knob in self.knob]
        twice = next((key for key in keys if keys.count(key) > 1 or key in (self.set or {})), None)
        if twice is not None:
            raise ValueError(f"{twice} is set twice")


def catalogue() -> dict[str, Path]:
    """Sweeps that come with the package, by name."""
    return layers.shipped("sweeps")


def find(name: str) -> tuple[Sweep, Path]:
    """A sweep by catalogue name or TOML path, and the folder from which it names scenarios.

    Raises
    ------
    InputError
        If it is neither, or if the file has unknown keys, wrong types or senseless values.
    """
    known = catalogue()
    path = layers.located(name, known, WHAT)
    content = layers.read(path, known, WHAT)
    if isinstance(content.get("set"), Mapping):
        content = {**content, "set": dotted(content["set"])}
    return structure(content, Sweep, str(path)), path.parent


def dotted(content: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """`{star: {k_mag: 9}}` -> `{"star.k_mag": 9}`; a curve `{x, y}` stays whole."""
    out: dict[str, Any] = {}
    for key, value in content.items():
        path = f"{above}.{key}" if above else key
        curve = isinstance(value, Mapping) and set(value) == {"x", "y"}
        out |= dotted(value, path) if isinstance(value, Mapping) and not curve else {path: value}
    return out
