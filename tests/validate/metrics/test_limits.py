"""The GLS bound of a slope: against dense algebra, closed forms, and simulated ramps with averaged frames."""

import numpy as np
import pytest

from uptheramp.calibrate.instruments.core import Readout
from uptheramp.validate.metrics import limits

FRAME_S = 0.9


def readout(ngroups, nframes=1, groupgap=0):
    return Readout(ngroups, nframes, groupgap, nframes, 2, 1, 1, (0, 0), (0, 0), "none", 0)


def simulate(r, rate, noise, ramps, seed):
    """Group means of Poisson ramps with single-read noise, (ramp, group)."""
    rng = np.random.default_rng(seed)
    frames = r.ngroups * r.frames_per_group
    charge = np.cumsum(rng.poisson(rate * FRAME_S, (ramps, frames)), axis=1)
    reads = charge + rng.normal(0, noise, charge.shape)
    return reads.reshape(ramps, r.ngroups, r.frames_per_group)[:, :, : r.nframes].mean(axis=2)


def whole(r):
    return np.ones(r.ngroups - 1, bool)


@pytest.mark.parametrize("r", [readout(6), readout(5, 4), readout(4, 3, 2)])
@pytest.mark.parametrize(("rate", "noise"), [(300.0, 12.0), (3.0, 15.0)])
def test_bound_is_the_variance_that_optimal_weights_reach_on_simulated_ramps(r, rate, noise):
    times = limits.group_times(r, FRAME_S)
    d = np.diff(simulate(r, rate, noise, 60_000, 0), axis=1) / np.diff(times.mean_s)
    weights = np.linalg.solve(np.cov(d.T), np.ones(r.ngroups - 1))
    slopes = d @ weights / weights.sum()
    bound = limits.slope_variance(rate, noise, times, whole(r))
    assert slopes.mean() == pytest.approx(rate, abs=5 * np.sqrt(bound / 60_000))
    assert slopes.var() == pytest.approx(bound, rel=0.03)


def test_closed_forms():
    two = limits.group_times(readout(2), FRAME_S)
    assert limits.slope_variance(50.0, 10.0, two, whole(readout(2))) == pytest.approx(
        (2 * 10.0**2 + 50.0 * FRAME_S) / FRAME_S**2
    )
    n = 9
    many = limits.group_times(readout(n), FRAME_S)
    length = (n - 1) * FRAME_S
    assert limits.slope_variance(0.0, 10.0, many, whole(readout(n))) == pytest.approx(
        12 * (n - 1) * 10.0**2 / (n * (n + 1) * length**2)
    )
    assert limits.slope_variance(1e6, 1e-3, many, whole(readout(n))) == pytest.approx(1e6 / length, rel=1e-3)


def test_unusable_differences_are_left_out():
    r = readout(7)
    times = limits.group_times(r, FRAME_S)
    good = np.ones((7, 3), bool)
    good[3:, 1] = False  # saturated after three groups
    good[3, 2] = False  # one bad group: two runs of three
    usable = limits.usable_differences(good)
    v = limits.slope_variance(np.full(3, 40.0), np.full(3, 9.0), times, usable)
    short = limits.slope_variance(40.0, 9.0, limits.group_times(readout(3), FRAME_S), whole(readout(3)))
    assert v[1] == pytest.approx(short)
    assert v[2] == pytest.approx(short / 2)
    assert v[0] < v[2]
    assert np.isinf(limits.slope_variance(40.0, 9.0, times, np.zeros(6, bool)))


def test_light_curve_limit_of_weighted_pixels():
    rng = np.random.default_rng(1)
    rate, sigma, w = np.array([100.0, 400.0, 50.0]), np.array([3.0, 5.0, 2.0]), np.array([1.0, 0.7, 0.0])
    sums = (rng.normal(rate, sigma, (200_000, 3)) * w).sum(axis=1)
    limit = limits.light_curve_limit(rate, np.array([9.0, 25.0, np.inf]), w)
    assert limit == pytest.approx(sums.std() / sums.mean(), rel=0.01)
    more = limits.light_curve_limit(rate, sigma**2, w, extra_variance=10.0)
    assert more**2 - limit**2 == pytest.approx(10.0 / (w @ rate) ** 2)
