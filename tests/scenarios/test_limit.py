"""L_all: which level each pixel sees, and what 1/f noise adds to the limit of a reduction."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from uptheramp.scenarios import limit
from uptheramp.scenarios.reduced import Reduced
from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.simulate.detector.one_over_f import image_of
from uptheramp.simulate.ramps.render import build


def observed(label):
    scenario = find("quickstart")
    return replace(observation_of(scenario, next(b for b in scenario.mode if b.label == label)), nints=2)


@pytest.mark.parametrize("label", ["nircam_f322w2", "nirspec_prism", "miri_lrs"])
def test_levels_lie_as_the_simulator_lays_them_out(label):
    process = build(observed(label)).own["one_over_f"]
    plan, segments = process.layout, limit.segments_of(process.layout)
    assert plan.kept % segments == 0
    assert plan.kept // segments <= limit.LONGEST
    cell = np.arange(plan.lines)[:, None] * segments + np.arange(plan.kept) // (plan.kept // segments)
    number = {"common": cell * plan.outputs, "alternating": 0 * cell, "independent": 0 * cell}
    samples = np.stack([number[name] for name in plan.streams]).astype(np.float32)
    own = [i for i, name in enumerate(plan.streams) if name == "independent"]
    samples[own] += np.arange(len(own))[:, None, None]
    unit = replace(process, amplitude_e=np.ones_like(process.amplitude_e))
    np.testing.assert_array_equal(limit.levels(plan), np.asarray(image_of(samples, unit)))


def test_the_drift_has_the_variance_of_the_streams():
    observation = observed("nircam_f322w2")
    table = observation.detector.one_over_f
    got = limit.drift(build(observation).own["one_over_f"], observation)
    expected = table.common_e**2 + table.independent_e**2 * np.eye(4)
    np.testing.assert_allclose(got.outputs, expected, rtol=1e-6)
    assert got.cells == (64, 8)
    assert got.lags.shape == (5, 127, 15)
    middle = got.lags[0, 63, 7]
    assert (got.lags < middle).sum() == got.lags.size - 1


def test_without_one_over_f_nothing_is_added():
    observation = observed("nircam_f322w2")
    quiet = replace(observation, effects=tuple(e for e in observation.effects if e != "one_over_f"))
    unused = Reduced.__dataclass_fields__
    reduced = Reduced(**(dict.fromkeys(unused) | {"binning": SimpleNamespace(weights=np.ones((3, 2048)))}))
    assert (limit.pink_covariance(reduced, quiet, None, None) == np.zeros((3, 3))).all()
