"""Intervals that a perfect pipeline keeps, from the number of seeds S and of bins B, by exact distributions."""

from math import erf, sqrt

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import special, stats

CONFIDENCE = 0.99


def family_alpha(tests: int, confidence: float = CONFIDENCE) -> float:
    """Chance of a false alarm allowed to each of `tests` tests: (1 - confidence) / tests (Bonferroni)."""
    return (1.0 - confidence) / tests


def normal_interval(standard_error: float, alpha: float) -> tuple[float, float]:
    """Two-sided interval about zero of a normal variate: -+ Phi^-1(1 - alpha/2) standard errors."""
    half = float(stats.norm.isf(alpha / 2.0)) * standard_error
    return -half, half


def pull_moments(residuals: int | None) -> tuple[float, float]:
    """Mean and variance of a squared pull: (1, 2) for known errors; F(1, n) for errors estimated from n residuals.

    Mean n/(n-2), variance 2 n^2 (n-1) / [(n-2)^2 (n-4)]; n is the number of degrees of freedom left and must exceed 4.
    """
    if residuals is None:
        return 1.0, 2.0
    if residuals <= 4:
        raise ValueError(f"errors estimated from {residuals} residuals have pulls without a variance; need at least 5")
    n = float(residuals)
    return n / (n - 2.0), 2.0 * n**2 * (n - 1.0) / ((n - 2.0) ** 2 * (n - 4.0))


def mean_square_interval(mean: float, variance: float, alpha: float) -> tuple[float, float]:
    """Interval of an average of squares with this mean and variance, as a scaled chi-square of equal two moments.

    Exact for the average of S B squared normal pulls (mean 1, variance 2 / (S B)); Satterthwaite's approximation for
    correlated squares and for errors that were estimated.
    """
    freedom = 2.0 * mean**2 / variance
    low, high = stats.chi2.ppf([alpha / 2.0, 1.0 - alpha / 2.0], freedom) * mean / freedom
    return float(low), float(high)


def chi_square_interval(seeds: int, bins: int, alpha: float, residuals: int | None = None) -> tuple[float, float]:
    """Interval of sum z^T z / (S B): chi-square with S B degrees of freedom over S B where the errors are known."""
    mean, variance = pull_moments(residuals)
    return mean_square_interval(mean, variance / (seeds * bins), alpha)


def coverage_probability(sigmas: float, residuals: int | None = None) -> float:
    """Chance that a perfect pipeline's +-`sigmas` interval holds the truth (Student's t for n residuals)."""
    if residuals is None:
        return erf(sigmas / sqrt(2.0))
    return float(1.0 - 2.0 * stats.t.sf(sigmas, residuals))


def effective_trials(correlation: Float[ndarray, "bin bin"], sigmas: float) -> float:
    """Independent trials that one spectrum of correlated bins is worth when coverage is counted.

    Indicators of |x| < q have covariance sum over even k of (c_k^2 / k!) r^k (Mehler), c_k = -2 phi(q) He_{k-1}(q); the
    count of B of them has the variance of N = B^2 p (1-p) / sum of covariances independent ones. Identity gives B.
    """
    p = coverage_probability(sigmas)
    density = np.exp(-0.5 * sigmas**2) / np.sqrt(2.0 * np.pi)
    off = correlation - np.diag(np.diag(correlation))
    total = p * (1.0 - p) * len(correlation)
    for k in range(2, 42, 2):
        c_k = -2.0 * density * special.eval_hermitenorm(k - 1, sigmas)
        total += c_k**2 / special.factorial(k) * float((off**k).sum())
    return len(correlation) ** 2 * p * (1.0 - p) / total


def coverage_interval(trials: float, probability: float, alpha: float) -> tuple[float, float]:
    """Fractions that `trials` independent trials of this probability give but in alpha of the cases (binomial)."""
    n = max(1, int(trials))
    low, high = stats.binom.ppf([alpha / 2.0, 1.0 - alpha / 2.0], n, probability) / n
    return float(low), float(high)


def clopper_pearson(successes: int, trials: int, confidence: float = 0.6827) -> tuple[float, float]:
    """Interval of a binomial probability that is never too short, from quantiles of the beta distribution."""
    tail = (1.0 - confidence) / 2.0
    low = stats.beta.ppf(tail, successes, trials - successes + 1) if successes > 0 else 0.0
    high = stats.beta.isf(tail, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)


def maximum_quantile(standard_errors: Float[ndarray, "bin"], probability: float) -> float:
    """Quantile of max_b |x_b| for independent normal x_b with these standard errors.

    Solves prod_b [2 Phi(q / s_b) - 1] = probability. Correlated bins stay below it more often (Sidak), never less.
    """
    single = probability ** (1.0 / len(standard_errors))
    low = float(np.min(standard_errors)) * float(stats.norm.isf((1.0 - probability) / 2.0))
    high = float(np.max(standard_errors)) * float(stats.norm.isf((1.0 - single) / 2.0))
    for _ in range(80):
        middle = 0.5 * (low + high)
        log_below = np.log1p(-2.0 * stats.norm.sf(middle / standard_errors)).sum()
        low, high = (middle, high) if log_below < np.log(probability) else (low, middle)
    return 0.5 * (low + high)
