"""Perfect pipelines keep the limits; planted faults are found."""

from dataclasses import replace

import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.validate.ensemble import Ensemble
from uptheramp.validate.metrics import depth, intervals
from uptheramp.validate.record import FAIL, NOT_DECIDED, PASS
from uptheramp.validate.recovery import alpha_for, judge

BINS = 20
WAVELENGTH = np.linspace(1.0, 5.0, BINS)
SIGMA = 60e-6 * (1.0 + 0.5 * np.linspace(0.0, 1.0, BINS))
FACTOR = 20e-6 * np.linspace(0.5, 1.0, BINS)
COVARIANCE = np.diag(SIGMA**2) + np.outer(FACTOR, FACTOR)
TRUTH = 0.02 + 2e-4 * np.sin(WAVELENGTH)


def ensemble(seed, seeds, *, bias=0.0, noise=1.0, claimed=1.0, extra=0.0, residuals=None):
    rng = np.random.default_rng(seed)
    scale = np.sqrt(1.0 + extra**2) * noise
    errors = rng.normal(size=(seeds, BINS)) @ np.linalg.cholesky(COVARIANCE).T * scale
    covariance = np.broadcast_to(COVARIANCE * claimed**2, (seeds, BINS, BINS)).copy()
    if residuals is not None:
        ratio = np.sqrt(rng.chisquare(residuals, (seeds, BINS)) / residuals)
        covariance *= ratio[:, :, None] * ratio[:, None, :]
    return Ensemble(
        mode="planted",
        wavelength_um=WAVELENGTH,
        depth=TRUTH + bias + errors,
        covariance=covariance,
        truth=TRUTH[None],
        residuals=residuals,
    )


def verdicts(recovery):
    return {r.name: r.verdict for r in recovery.records}


def test_perfect_pipeline_passes_and_false_alarms_are_rare():
    results = [judge(ensemble(s, 220)) for s in range(40)]
    assert sum(r.verdict == PASS for r in results) >= 38
    assert sum(r.verdict == FAIL for r in results) <= 2


def test_perfect_pipeline_with_estimated_errors():
    results = [judge(ensemble(s, 150, residuals=60)) for s in range(30)]
    assert sum(r.verdict == FAIL for r in results) <= 2
    without = judge(ensemble(0, 600, residuals=12))
    known = ensemble(0, 600, residuals=12)
    naive = judge(replace(known, residuals=None))
    assert verdicts(without)["chi_square"] != FAIL
    assert verdicts(naive)["chi_square"] == FAIL


@pytest.mark.parametrize("bias_ppm", [20.0, -20.0])
def test_bias_of_20_ppm_is_found(bias_ppm):
    found = [verdicts(judge(ensemble(s, 150, bias=bias_ppm * 1e-6)))["mean_bias"] == FAIL for s in range(10)]
    assert all(found)


def test_errors_wrong_by_5_percent_are_found():
    for claimed in (0.95, 1.05):
        found = [verdicts(judge(ensemble(s, 400, claimed=claimed)))["chi_square"] == FAIL for s in range(10)]
        assert sum(found) >= 9


def test_extra_scatter_of_2_percent_is_found_and_is_not_a_bias():
    """Extra scatter that the errors know nothing of raises chi-square and MSE, and leaves the mean alone."""
    x = ensemble(3, 2500, extra=0.2)  # sqrt(1 + 0.04): 2 % in the standard deviation
    found = verdicts(judge(x))
    assert found["chi_square"] == FAIL
    assert found["mean_bias"] == PASS


def test_slope_is_found_where_the_mean_is_zero():
    x = ensemble(5, 200)
    tilt = 60e-6 * (WAVELENGTH - np.average(WAVELENGTH, weights=1 / COVARIANCE.diagonal())) / np.ptp(WAVELENGTH)
    found = verdicts(judge(replace(x, depth=x.depth + tilt)))
    assert found["slope_bias"] == FAIL and found["slope_bias_equivalence"] == FAIL
    assert found["mean_bias"] == PASS


def test_few_seeds_decide_nothing_and_say_how_many_would():
    recovery = judge(ensemble(7, 2))
    assert recovery.verdict == NOT_DECIDED
    chi = next(r for r in recovery.records if r.name == "chi_square")
    needed = int(chi.definition.split("S = ")[1].split()[0])
    low, high = intervals.chi_square_interval(needed, BINS, alpha_for(1))
    assert 0.09 < (high - low) / 2 < 0.11


def test_one_seed_never_passes_but_can_fail():
    assert judge(ensemble(8, 1)).verdict == NOT_DECIDED
    assert judge(ensemble(8, 1, noise=3.0)).verdict == FAIL


def test_pulls_are_white_where_raw_pulls_are_correlated():
    x = ensemble(9, 4000)
    z = depth.pulls(x.depth, x.covariance, x.truth)
    raw = (x.depth - x.truth) / np.sqrt(COVARIANCE.diagonal())
    assert np.abs(np.corrcoef(z.T) - np.eye(BINS)).max() < 0.08
    assert np.corrcoef(raw.T)[-1, -2] > 0.02
    assert depth.chi_square(z) == pytest.approx(1.0, abs=0.015)


def test_bias_parts_add_up_and_carry_standard_errors():
    x = ensemble(10, 50)
    twin = x.truth + 5e-6
    parts = depth.bias_parts(x.depth, x.truth, twin)
    np.testing.assert_allclose(parts.total.value, parts.algorithmic.value + parts.noise_induced.value, atol=1e-15)
    np.testing.assert_allclose(parts.algorithmic.value, 5e-6, rtol=1e-6)
    np.testing.assert_allclose(parts.total.standard_error, np.sqrt(COVARIANCE.diagonal() / 50), rtol=0.4)


def test_mean_square_error_is_bias_squared_plus_variance():
    errors = ensemble(11, 30).depth - TRUTH
    np.testing.assert_allclose(depth.mean_square_error(errors), errors.mean(0) ** 2 + errors.var(0), rtol=1e-12)


def test_smallest_excluded_bias_excludes_what_it_says():
    """A true bias lies below its upper limit in at least 95 % of experiments, and not in all."""
    truth = 30e-6
    errors = np.random.default_rng(12).normal(truth, 40e-6, (4000, 16, 1))
    upper = np.array([depth.smallest_excluded_bias(e.mean(0), np.array([10e-6]))[0] for e in errors])
    assert 0.94 < np.mean(upper > truth) < 0.96


def test_bins_without_a_depth_are_left_out_and_counted():
    x = ensemble(13, 30)
    broken = x.depth.copy()
    broken[:, 4] = np.nan
    with_gap = judge(replace(x, depth=broken))
    keep = np.arange(BINS) != 4
    without = judge(
        replace(
            x,
            wavelength_um=WAVELENGTH[keep],
            depth=x.depth[:, keep],
            covariance=x.covariance[:, keep][:, :, keep],
            truth=TRUTH[None, keep],
        )
    )
    assert with_gap.records[:-1] == without.records
    assert with_gap.records[-1].name == "bins_left_out" and with_gap.records[-1].value == 1.0
    with pytest.raises(InputError, match="planted: no wavelength bin"):
        judge(replace(x, depth=np.full_like(x.depth, np.nan)))
