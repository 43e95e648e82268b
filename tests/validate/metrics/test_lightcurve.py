"""Scatter, red noise and mid-transit time against series whose noise is known."""

import numpy as np
import pytest

from uptheramp.validate.light_curve_records import mid_transit_record, red_noise_records, scatter_records
from uptheramp.validate.metrics import lightcurve as lc
from uptheramp.validate.record import FAIL, PASS

TIME = np.linspace(60000.0, 60000.2, 200)
OUT = np.abs(TIME - TIME.mean()) > 0.05


def test_detrended_rms_removes_the_slope_and_counts_the_degrees_of_freedom():
    rng = np.random.default_rng(0)
    values = []
    for _ in range(400):
        flux = 7.0 * (1 + 3e-3 * (TIME - TIME[0]) + rng.normal(0, 2e-4, 200))
        flux[5] = np.nan
        rms, freedom = lc.detrended_rms(TIME, flux, OUT)
        values.append(rms**2)
    assert freedom == OUT.sum() - 1 - 2
    assert np.sqrt(np.mean(values)) == pytest.approx(2e-4, rel=0.01)


def test_scatter_ratio_error_and_interval_hold():
    rng = np.random.default_rng(1)
    ratios = np.sqrt(rng.chisquare(60, 50_000) / 60)
    ratio, error = lc.scatter_ratio(1.1, 1.0, 60)
    assert ratio == pytest.approx(1.1)
    assert ratios.std() == pytest.approx(error / 1.1, rel=0.02)
    low, high = lc.scatter_interval(60, 0.05)
    assert np.mean((ratios < low) | (ratios > high)) == pytest.approx(0.05, abs=0.004)


def test_beta_is_the_formula():
    x = np.random.default_rng(2).normal(size=120)
    m = 120 // 7
    means = x[: m * 7].reshape(m, 7).mean(axis=1)
    expected = np.sqrt(np.mean(means**2)) / (np.sqrt(np.mean(x**2)) / np.sqrt(7) * np.sqrt(m / (m - 1)))
    assert lc.beta(x, 7) == pytest.approx(expected, rel=1e-12)
    assert np.isnan(lc.beta(x, 100))


@pytest.mark.parametrize("points", [15, 60])
def test_beta_interval_holds_for_white_noise(points):
    rng = np.random.default_rng(3)
    high = lc.beta_interval(180, points, 0.02)[1]
    above = np.mean([lc.beta(rng.normal(size=180), points) > high for _ in range(8000)])
    assert above == pytest.approx(0.02, abs=0.006)
    assert lc.beta_interval(100, 60, 0.02) is None


def test_red_noise_fails_and_white_noise_passes():
    rng = np.random.default_rng(4)
    white = rng.normal(size=280)
    red = white + 0.8 * np.cumsum(rng.normal(size=280)) / 4
    assert {r.verdict for r in red_noise_records(white, 70, 1e-3)} == {PASS}
    assert red_noise_records(red - red.mean(), 70, 1e-3)[0].verdict == FAIL


def test_scatter_is_judged_on_all_known_noise():
    flux = 1 + np.random.default_rng(5).normal(0, 2e-4, 200)
    good = scatter_records(TIME, flux, OUT, limit_pr=1.5e-4, limit_all=2e-4, alpha=1e-3)
    bad = scatter_records(TIME, flux, OUT, limit_pr=1e-4, limit_all=1.3e-4, alpha=1e-3)
    assert [r.verdict for r in good] == ["reported", "reported", PASS]
    assert bad[-1].verdict == FAIL
    assert len(scatter_records(TIME, flux, OUT, limit_pr=1e-4, limit_all=None, alpha=1e-3)) == 2


def test_mid_transit_time_in_seconds():
    record = mid_transit_record(60000.0 + 10 / 86400, 3 / 86400, 60000.0, 0.05)
    assert record.value == pytest.approx(10.0, abs=1e-3)
    assert record.verdict == FAIL and record.limit_high == pytest.approx(5.88, abs=0.01)
    with pytest.raises(ValueError, match="time scale"):
        lc.mid_transit_difference_s(2460000.5, 60000.0)
