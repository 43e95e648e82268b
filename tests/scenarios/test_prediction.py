"""Predicted scatter: its pieces against the limits of the judge and the draws of the simulator."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios import prediction
from uptheramp.scenarios.prediction import Channel, Extraction
from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.simulate.detector.one_over_f import OneOverF
from uptheramp.simulate.effect import Params
from uptheramp.simulate.observation import observe
from uptheramp.simulate.ramps import clock
from uptheramp.simulate.state import Frames
from uptheramp.validate.metrics.limits import group_times, slope_variance, usable_differences

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
WASP = find("wasp-39b-niriss-soss")


@pytest.fixture(scope="module")
def plan():
    o = observe("niriss_soss", ngroups=4, nints=2, star=WASP.star, planet=WASP.planet)
    return prediction.plan(o)


def test_without_background_the_variance_is_the_limit_of_the_judge(plan):
    o, narrow = plan.observation, Channel(1, 1.2, 1.21)
    along = prediction.members(o, narrow)
    times = group_times(o.readout, o.subarray.frame_time_s)
    noise = np.full(o.shape, o.detector.read_noise_e)
    variance = slope_variance(plan.rate_e_per_s, noise, times, usable_differences(plan.usable))
    centre = np.interp(np.arange(2048), o.mode.orders[0].trace_px.x, o.mode.orders[0].trace_px.y)
    box = np.clip(18.5 - np.abs(np.arange(256)[:, None] - centre), 0, 1) * plan.light
    light = (box * plan.star_e_per_s)[:, along].sum()
    expected = 1e6 * np.sqrt((box**2 * variance)[:, along].sum()) / light
    (found,) = prediction.scatter(plan, [narrow])
    assert found.l_pr_ppm == pytest.approx(expected, rel=1e-6)
    assert found.pixels == along.stop - along.start > 5
    assert found.l_all_ppm["none"] > found.l_pr_ppm


@pytest.mark.parametrize("way", prediction.BACKGROUNDS)
def test_slopes_are_slopes_and_levels_cancel(plan, way):
    o = plan.observation
    c = prediction.coefficients(plan, 1, way)
    assert c.sum(0) == pytest.approx(np.zeros(o.shape), abs=1e-9)  # kTC and bias
    time = clock.group_end_s(o)[:, None, None]
    x = 1000
    sky = (c * time).sum((0, 1))[x]  # light that is the same in all rows
    assert sky == pytest.approx(36.0 if way == "none" else 0.0, abs=1e-6)
    offsets = c[:, :, x].sum(1)  # a level of the column in one group
    assert (np.abs(offsets).max() < 1e-9) == (way == "group")


def test_one_over_f_is_that_of_the_simulator():
    o = observe("niriss_soss", ngroups=5, nints=2, star=WASP.star, planet=WASP.planet)
    o = replace(o, subarray=replace(o.subarray, size=(6, 16)))
    c = np.random.default_rng(7).standard_normal((5, 16, 6))
    c -= c.mean(1, keepdims=True)  # as a background does; without, the level of hours would rule
    effect, count = OneOverF(), 400
    own = effect.constants(o, None, None)
    params = Params(np.float64(o.subarray.frame_time_s), np.float64(o.cadence_s), np.float32(1), own)
    refs = type("Refs", (), {"gain": np.float32(1)})

    @jax.jit
    def drawn(key):
        def one(memory, key):
            frames, _ = effect.draw(key, Frames(jnp.zeros(c.shape), jnp.asarray(0), memory), refs, params)
            return frames.memory, (frames.dn * c).sum()

        start = {effect.name: effect.start(key, own)}
        return jax.lax.scan(one, start, jax.random.split(key, count))[1]

    values = np.asarray(drawn(jax.random.key(3)))
    predicted = prediction.one_over_f_variance(o, c)
    low, high = chi2.ppf([0.005, 0.995], count) / count
    assert low < (values**2).mean() / predicted < high


def test_what_it_cannot_predict_is_refused():
    o = observation_of(find("wasp-39b-nircam-f322w2"), find("wasp-39b-nircam-f322w2").mode[0])
    with pytest.raises(InputError, match="SOSS"):
        prediction.plan(o)


def test_bins_from_their_centres():
    edges = 0.9 * 1.005 ** np.arange(6)
    edges[-1] -= 0.002  # the last one is cut
    made = prediction.bins((edges[1:] + edges[:-1]) / 2, 2)
    assert [b.low_um for b in made] == pytest.approx(edges[:-1])
    assert [b.high_um for b in made] == pytest.approx(edges[1:])


def test_narrow_boxes_lose_light_and_sky_noise():
    o = observe("niriss_soss", ngroups=4, nints=2, star=WASP.star, planet=WASP.planet)
    small, wide = (
        prediction.scatter(prediction.plan(o, Extraction(box_px=b)), [Channel(1, 2.5, 2.52)])[0] for b in (24.0, 40.0)
    )
    assert small.electrons < wide.electrons
    assert small.l_pr_ppm > 0
    assert small.l_all_ppm["group"] < small.l_all_ppm["none"]


def test_the_committed_files_say_what_they_were_made_of():
    folder = Path(__file__).parents[2] / "docs" / "predictions"
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text())
        assert content["inputs"]["case_id"] and content["inputs"]["code"]["source"]
        for row in content["white"] + content["channels"]:
            assert 0 < row["l_pr_ppm"] < row["l_all_ppm"]["none"]
