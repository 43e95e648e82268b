"""The limit on a channel is the scatter that simulated ramps reach with optimal slopes."""

import numpy as np
import pytest

from uptheramp.calibrate.instruments.core import Readout
from uptheramp.validate.channel_limits import channel_limits, pixel_variance

READOUT = Readout(4, 1, 0, 1, 2, 1, 1, (0, 0), (0, 0), "none", 0)
FRAME_S, NOISE_E = 0.5, 8.0
RATE = np.array([[20.0, 30.0, 10.0], [900.0, 700.0, 400.0]])  # (y, x), dispersion along x
APERTURE = np.array([[0.5, 0.5, 0.5], [1.0, 1.0, 1.0]])
WEIGHTS = np.array([1.0, 0.5, 2.0])


@pytest.mark.parametrize("axis", [1, 2])
def test_against_simulated_ramps(axis):
    rng = np.random.default_rng(0)
    shape = (40_000, 4, 2, 3)
    groups = np.cumsum(rng.poisson(RATE * FRAME_S, shape), axis=1) + rng.normal(0, NOISE_E, shape)
    d = np.diff(groups, axis=1) / FRAME_S
    diagonal, off = (2 * NOISE_E**2 + RATE * FRAME_S) / FRAME_S**2, -(NOISE_E**2) / FRAME_S**2
    slope = np.zeros((40_000, 2, 3))
    for y in range(2):
        for x in range(3):
            c = diagonal[y, x] * np.eye(3) + off * (np.eye(3, k=1) + np.eye(3, k=-1))
            w = np.linalg.solve(c, np.ones(3))
            slope[:, y, x] = d[:, :, y, x] @ w / w.sum()
    bins = [np.array([0, 1]), np.array([2]), np.arange(3)]
    flux = [(slope * APERTURE * WEIGHTS)[:, :, b].sum(axis=(1, 2)) for b in bins]
    expected = [f.std() / f.mean() for f in flux]

    def turn(a):
        return a if axis == 1 else np.swapaxes(a, -1, -2)

    variance = pixel_variance(
        turn(RATE), np.full(turn(RATE).shape, NOISE_E), READOUT, FRAME_S, np.ones((4, *turn(RATE).shape), bool)
    )
    got = channel_limits(turn(RATE), variance, turn(APERTURE), WEIGHTS, bins, dispersion_axis=axis)
    np.testing.assert_allclose(got, expected, rtol=0.015)
    more = channel_limits(
        turn(RATE), variance, turn(APERTURE), WEIGHTS, bins, dispersion_axis=axis, extra_variance=np.full(3, 100.0)
    )
    assert (more > got).all()
