"""Recovery of a depth spectrum: bias and its parts, pulls, chi-square, coverage, worst bin, mean square error.

Arrays are (seed, bin), depths as fractions; `truth` and `twin` broadcast against `depth`. Results keep the unit of the
depths; `recovery.py` turns them into ppm.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import solve_triangular
from scipy.stats import norm

from uptheramp.validate.metrics.intervals import maximum_quantile


@dataclass(frozen=True)
class Bias:
    """Mean of an error over seeds by bin, with its standard error (NaN for one seed)."""

    value: Float[ndarray, "bin"]
    standard_error: Float[ndarray, "bin"]


@dataclass(frozen=True)
class BiasParts:
    """Total <D^ - D>, and where the noise-free twin is known algorithmic D0 - D and noise-induced <D^ - D0>."""

    total: Bias
    algorithmic: Bias | None
    noise_induced: Bias | None


def bias(errors: Float[ndarray, "seed bin"]) -> Bias:
    """Mean over seeds of recovered minus true, with standard error s / sqrt(S), s the sample standard deviation."""
    seeds = len(errors)
    if seeds < 2:
        return Bias(errors.mean(axis=0), np.full(errors.shape[1], np.nan))
    return Bias(errors.mean(axis=0), errors.std(axis=0, ddof=1) / np.sqrt(seeds))


def bias_parts(
    depth: Float[ndarray, "seed bin"],
    truth: Float[ndarray, "*seed bin"],
    twin: Float[ndarray, "*seed bin"] | None = None,
) -> BiasParts:
    """Bias in parts: total <D^ - D> = algorithmic <D0 - D> + noise-induced <D^ - D0>, D0 from the noise-free twin."""
    total = bias(depth - truth)
    if twin is None:
        return BiasParts(total, None, None)
    return BiasParts(total, bias(np.broadcast_to(twin - truth, depth.shape)), bias(depth - twin))


def pulls(
    depth: Float[ndarray, "seed bin"], covariance: Float[ndarray, "seed bin bin"], truth: Float[ndarray, "*seed bin"]
) -> Float[ndarray, "seed bin"]:
    """Whiten the errors into pulls z_s = L_s^-1 (D^_s - D), C_s = L_s L_s^T.

    Independent within a seed, unlike raw per-bin pulls.
    """
    factor = np.linalg.cholesky(covariance)
    errors = np.broadcast_to(depth - truth, depth.shape)
    return np.stack([solve_triangular(f, e, lower=True) for f, e in zip(factor, errors, strict=True)])


def chi_square(z: Float[ndarray, "seed bin"]) -> float:
    """Mean square pull sum_s z_s^T z_s / (S B); 1 is expected, or n/(n-2) for errors estimated from n residuals."""
    return float(np.mean(z**2))


@dataclass(frozen=True)
class Coverage:
    """Fraction of (seed, bin) whose interval holds the truth, with its bootstrap standard error over seeds."""

    value: float
    standard_error: float


def coverage(
    errors: Float[ndarray, "seed bin"], sigma: Float[ndarray, "seed bin"], sigmas: float, resamples: int = 500
) -> Coverage:
    """Fraction of (seed, bin) with |D^ - D| <= `sigmas` marginal errors; standard error from resampling whole seeds."""
    by_seed = (np.abs(errors) <= sigmas * sigma).mean(axis=1)
    if len(by_seed) < 2:
        return Coverage(float(by_seed.mean()), float("nan"))
    picks = np.random.default_rng(20260101).integers(0, len(by_seed), (resamples, len(by_seed)))
    return Coverage(float(by_seed.mean()), float(by_seed[picks].mean(axis=1).std(ddof=1)))


@dataclass(frozen=True)
class WorstBin:
    """The largest |bias|, its bin, and the quantile of that maximum for a perfect pipeline."""

    value: float
    bin: int
    quantile: float


def worst_bin(
    mean_error: Float[ndarray, "bin"], covariance: Float[ndarray, "seed bin bin"], probability: float = 0.95
) -> WorstBin:
    """max_b |bias| beside the quantile of that maximum over B bins of a perfect pipeline with covariance <C> / S."""
    error = np.sqrt(covariance.mean(axis=0).diagonal() / len(covariance))
    worst = int(np.argmax(np.abs(mean_error)))
    return WorstBin(float(abs(mean_error[worst])), worst, maximum_quantile(error, probability))


def mean_square_error(errors: Float[ndarray, "seed bin"]) -> Float[ndarray, "bin"]:
    """MSE = bias^2 + variance by bin, that is the mean over seeds of (D^ - D)^2."""
    return np.mean(errors**2, axis=0)


def mean_square_error_moments(covariance: Float[ndarray, "seed bin bin"]) -> tuple[float, float]:
    """Mean and variance of the bin-averaged MSE of a perfect pipeline: tr C / B and 2 tr C^2 / (S B^2), C averaged."""
    c = covariance.mean(axis=0)
    seeds, bins = covariance.shape[:2]
    return float(np.trace(c) / bins), float(2.0 * np.sum(c**2) / (seeds * bins**2))


def smallest_excluded_bias(
    mean_error: Float[ndarray, "bin"], standard_error: Float[ndarray, "bin"], confidence: float = 0.95
) -> Float[ndarray, "bin"]:
    """Upper limit |bias| + Phi^-1(confidence) standard errors by bin: any larger bias is excluded by these seeds."""
    return np.abs(mean_error) + norm.ppf(confidence) * standard_error
