"""The intervals hold what they say, against simulation."""

import numpy as np
import pytest
from scipy import stats

from uptheramp.validate.metrics import intervals

ALPHA = 0.02


def test_chi_square_interval():
    low, high = intervals.chi_square_interval(5, 12, ALPHA)
    means = np.random.default_rng(0).chisquare(60, 100_000) / 60
    assert np.mean(means < low) == pytest.approx(0.01, abs=0.0012)
    assert np.mean(means > high) == pytest.approx(0.01, abs=0.0012)


@pytest.mark.parametrize("residuals", [30, 120])
def test_chi_square_interval_with_estimated_errors(residuals):
    low, high = intervals.chi_square_interval(10, 20, ALPHA, residuals)
    rng = np.random.default_rng(1)
    squares = rng.f(1, residuals, (40_000, 200)).mean(axis=1)
    assert 0.013 < np.mean((squares < low) | (squares > high)) < 0.027
    assert squares.mean() == pytest.approx(residuals / (residuals - 2), rel=2e-3)


def test_pulls_from_four_residuals_are_refused():
    with pytest.raises(ValueError, match="need at least 5"):
        intervals.pull_moments(4)


@pytest.mark.parametrize("sigmas", [1.0, 2.0])
def test_coverage_interval_of_correlated_bins(sigmas):
    bins, seeds = 15, 40
    factor = np.full(bins, 0.8)
    correlation = np.outer(factor, factor) + np.diag(1 - factor**2)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3000, seeds, bins)) @ np.linalg.cholesky(correlation).T
    inside = (np.abs(x) < sigmas).mean(axis=(1, 2))
    p = intervals.coverage_probability(sigmas)
    trials = seeds * intervals.effective_trials(correlation, sigmas)
    assert inside.var() == pytest.approx(p * (1 - p) / trials, rel=0.08)
    low, high = intervals.coverage_interval(trials, p, ALPHA)
    assert np.mean((inside < low) | (inside > high)) < 0.03
    assert intervals.effective_trials(np.eye(bins), sigmas) == pytest.approx(bins)


def test_coverage_probability_of_estimated_errors_is_students():
    x = np.random.default_rng(3).standard_t(9, 200_000)
    assert intervals.coverage_probability(2.0, 9) == pytest.approx(np.mean(np.abs(x) < 2), abs=2e-3)


def test_clopper_pearson_covers():
    p, n = 0.03, 60
    counts = np.arange(n + 1)
    limits = np.array([intervals.clopper_pearson(int(k), n, 0.9) for k in counts])
    held = (limits[:, 0] <= p) & (p <= limits[:, 1])
    covered = stats.binom.pmf(counts, n, p)[held].sum()
    assert 0.9 <= covered < 0.99
    assert limits[0, 0] == 0.0 and limits[-1, 1] == 1.0


def test_maximum_quantile():
    errors = np.array([1.0, 2.0, 0.5, 1.5, 1.5])
    q = intervals.maximum_quantile(errors, 0.95)
    x = np.abs(np.random.default_rng(4).normal(size=(200_000, 5)) * errors).max(axis=1)
    assert np.mean(x < q) == pytest.approx(0.95, abs=0.002)
    assert intervals.maximum_quantile(np.array([2.0]), 0.95) == pytest.approx(2 * 1.959964, rel=1e-6)


def test_family_alpha_is_bonferroni():
    assert intervals.family_alpha(7 * 10) == pytest.approx(0.01 / 70)
    low, high = intervals.normal_interval(2.0, 0.05)
    assert (low, high) == pytest.approx((-3.919928, 3.919928), rel=1e-6)
