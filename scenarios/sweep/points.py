"""From knobs to points: which values go together."""

from itertools import product
from typing import Any

import numpy as np
from scipy.stats import qmc

from uptheramp.scenarios.sweep.file import Knob, Sweep


def points(sweep: Sweep) -> list[dict[str, Any]]:
    """The points of a sweep, each knob -> value, always in the same order; one empty point without knobs."""
    if sweep.sampling == "grid":
        return [dict(zip(_keys(sweep), values, strict=True)) for values in product(*(k.values for k in sweep.knob))]
    if sweep.sampling == "list":
        rows = zip(*(k.values for k in sweep.knob), strict=True) if sweep.knob else [()]
        return [dict(zip(_keys(sweep), values, strict=True)) for values in rows]
    unit = _sobol(sweep) if sweep.sampling == "sobol" else _random(sweep)
    return [{k.key: at(k, u) for k, u in zip(sweep.knob, row, strict=True)} for row in unit]


def _keys(sweep: Sweep) -> list[str]:
    return [knob.key for knob in sweep.knob]


def _random(sweep: Sweep) -> np.ndarray:
    return np.random.default_rng(sweep.sampling_seed).random((sweep.points, len(sweep.knob)))


def _sobol(sweep: Sweep) -> np.ndarray:
    """Scrambled Sobol points (Owen); more points later keep the first ones."""
    engine = qmc.Sobol(len(sweep.knob), scramble=True, rng=np.random.default_rng(sweep.sampling_seed))
    return engine.random_base2(max(1, int(np.ceil(np.log2(sweep.points)))))[: sweep.points]


def at(knob: Knob, unit: float) -> Any:
    """The value of a knob at 0 <= unit < 1: of its list, evenly, or of its range."""
    if knob.values:
        return knob.values[int(unit * len(knob.values))]
    assert knob.low is not None and knob.high is not None  # checked when the file was read
    if knob.scale == "log":
        return float(knob.low * (knob.high / knob.low) ** unit)
    return float(knob.low + (knob.high - knob.low) * unit)
