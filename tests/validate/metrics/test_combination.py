"""Variances of combinations of samples against dense covariances."""

import numpy as np
import pytest

from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.simulate.detector.one_over_f import poles
from uptheramp.validate.metrics import combination

FRAME_S, OVERHEAD = 0.02, 12


@pytest.fixture
def some():
    return np.random.default_rng(4).standard_normal((3, 5, 7))


def test_poisson_and_white_noise_of_a_pixel(some):
    rate, k = np.full((5, 7), 90.0), np.arange(1, 4)
    shared = np.minimum(k[:, None], k) * FRAME_S * 90.0
    expected = np.einsum("gyx,gh,hyx->yx", some, shared, some)
    assert combination.poisson(some, rate, FRAME_S) == pytest.approx(expected)
    assert combination.white(some, 3.0) == pytest.approx(9 * (some**2).sum(0))


@pytest.mark.parametrize("axes", [(-2, -1), (1, 2)], ids=["SOSS", "along x"])
def test_stationary_noise_is_the_sum_over_all_pairs(some, axes):
    rate, variance = poles()
    some[:, :, 2] = 0  # lines that do not count must not shift the others
    lines, pixels = (7, 5) if abs(axes[0]) == 2 else (5, 7)
    line, pixel = np.divmod(np.arange(lines * pixels), pixels)
    offset = ((line * (pixels + OVERHEAD)) + pixel) * CLOCK_S
    time = (np.arange(3)[:, None] * FRAME_S + offset).ravel()
    order = np.transpose(some, (0, 2, 1))[:, ::-1, ::-1] if axes[0] == -2 else some
    c = order.ravel()
    near = sum(v * np.exp(-r * np.abs(time[:, None] - time)) for r, v in zip(rate, variance, strict=True))
    made = combination.stationary(some, variance, rate, axes, OVERHEAD, FRAME_S)
    assert made == pytest.approx(c @ near @ c, rel=1e-9)
