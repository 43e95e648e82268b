"""Figures of one seed: planted errors come out as they went in."""

import numpy as np
import pytest

from uptheramp.validate.rate_records import by_class, rate_records
from uptheramp.validate.seed_records import depth_records

BINS = 200
WAVELENGTH = np.linspace(1.0, 5.0, BINS)
SIGMA = 80e-6
TRUTH = np.full(BINS, 0.02)


def values(records):
    return {r.name: r.value for r in records}


def spectrum(bias=0.0, tilt=0.0, claimed=1.0, twin=None):
    rng = np.random.default_rng(4)
    error = rng.normal(size=BINS) * SIGMA + bias + tilt * (WAVELENGTH - 3.0) / 4.0
    covariance = np.eye(BINS) * (SIGMA * claimed) ** 2
    return depth_records(WAVELENGTH, TRUTH + error, covariance, TRUTH, twin=twin)


def test_a_bias_and_a_tilt_are_their_own_size():
    still, moved = values(spectrum()), values(spectrum(bias=20e-6, tilt=50e-6, twin=TRUTH + 3e-6))
    assert moved["mean_bias"] - still["mean_bias"] == pytest.approx(20.0)
    assert moved["slope_bias"] - still["slope_bias"] == pytest.approx(50.0)
    assert moved["mean_bias_algorithmic"] == pytest.approx(3.0)
    assert moved["slope_bias_algorithmic"] == pytest.approx(0.0, abs=1e-9)
    assert "mean_bias_algorithmic" not in still
    (bias,) = (r for r in spectrum() if r.name == "mean_bias")
    assert bias.standard_error == pytest.approx(80.0 / BINS**0.5)


def test_error_bars_of_another_size_show_as_their_square():
    honest, small = values(spectrum()), values(spectrum(claimed=0.95))
    assert abs(honest["pull_variance"] - 1) < 4 * (2 / BINS) ** 0.5
    assert small["pull_variance"] / honest["pull_variance"] == pytest.approx(0.95**-2)
    assert small["depth_error"] == pytest.approx(76.0)
    assert small["depth_rms"] == honest["depth_rms"]


def test_bins_without_light_are_left_out():
    depth, covariance = TRUTH + 1e-5, np.eye(BINS) * SIGMA**2
    depth[3], covariance[5, 5] = np.nan, 0.0
    found = values(depth_records(WAVELENGTH, depth, covariance, TRUTH))
    assert found["bins_lost"] == 2
    assert found["mean_bias"] == pytest.approx(10.0)
    assert values(depth_records(WAVELENGTH, depth * np.nan, covariance, TRUTH)) == {"bins_lost": BINS}


def test_slopes_in_units_of_the_bound():
    rng = np.random.default_rng(1)
    shape = (12, 40, 100)
    truth = 10 ** rng.uniform(1, 5, shape[1:])
    bound = np.broadcast_to(np.sqrt(truth) / 3, shape)
    pattern = 0.5 * rng.normal(size=shape[1:])  # what references leave: the same in every integration
    slope = truth + bound * (0.3 + pattern + 1.2 * rng.normal(size=shape))
    lit = rng.random(shape[1:]) > 0.1
    slope[:, ~lit] = 1e9
    slope[0, 0] = np.nan
    found = values(rate_records(slope, bound * 1.1, truth, bound, 2.0, lit))
    assert found["rate_bias_all"] == pytest.approx(0.3, abs=4 * 0.5 / 60)
    assert found["rate_noise_all"] == pytest.approx(1.2, rel=4 * (2 * 11 * 3600) ** -0.5)
    assert found["rate_rms_all"] == pytest.approx((0.3**2 + 0.5**2 + 1.2**2) ** 0.5, rel=0.03)
    assert found["rate_error"] == pytest.approx(1.1)
    assert found["rate_lost"] == pytest.approx(lit[0].sum() / (12 * lit.sum()))
    assert {"rate_bias_faint", "rate_bias_middle", "rate_bias_bright"} <= found.keys()
    table = by_class(slope, truth, bound, {"flux": (np.broadcast_to(truth * lit, shape), np.array([1.0, 1e3, 1e6]))})
    assert table["flux_count"].sum() == lit.sum() * 12 - lit[0].sum()
    np.testing.assert_allclose(table["flux_variance_ratio"], 1.2**2 + 0.5**2, rtol=0.05)
