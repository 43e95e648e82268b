"""Is the bias small enough not to matter? Equivalence of its weighted mean and of its slope in wavelength."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from uptheramp.validate.record import FAIL, NOT_DECIDED, PASS

CONFIDENCE = 0.95
LIMIT_PPM = 30.0
SIGMA_FRACTION = 0.2  # of the ERS-size visit's R = 100 bin


@dataclass(frozen=True)
class Equivalence:
    """An estimate, its standard error, limits on its size, and what follows against `limit`."""

    value: float
    standard_error: float
    lower: float  # smallest |value| not excluded, at the level of the whole family of tests
    upper: float  # largest |value| not excluded at 95 %
    limit: float
    verdict: str
    seeds_needed: int


def equivalence_limit_ppm(ers_sigma_ppm: float | None) -> float:
    """Limit on a bias, ppm: the smaller of 30 and 0.2 sigma of the ERS-size visit's R = 100 bin (sigma from L_all)."""
    return LIMIT_PPM if ers_sigma_ppm is None else min(LIMIT_PPM, SIGMA_FRACTION * ers_sigma_ppm)


def mean_weights(covariance: Float[ndarray, "seed bin bin"]) -> Float[ndarray, "bin"]:
    """Weights of the mean over bins: the inverse of the marginal variances averaged over seeds; they sum to one."""
    w = 1.0 / covariance.mean(axis=0).diagonal()
    return w / w.sum()


def slope_weights(
    covariance: Float[ndarray, "seed bin bin"], wavelength_um: Float[ndarray, "bin"]
) -> Float[ndarray, "bin"]:
    """Weights whose sum with the errors is their rise from the first wavelength to the last.

    The weighted least-squares slope times the range of wavelengths: so the slope has the unit of a depth and takes the
    same limit as the mean.
    """
    w = mean_weights(covariance)
    x = wavelength_um - np.sum(w * wavelength_um)
    return w * x / np.sum(w * x**2) * np.ptp(wavelength_um)


def projected_variance(covariance: Float[ndarray, "seed bin bin"], weights: Float[ndarray, "bin"]) -> float:
    """Variance h^T <C> h that one seed's projection h^T (D^ - D) has according to the pipeline."""
    return float(weights @ covariance.mean(axis=0) @ weights)


def equivalence(
    projections: Float[ndarray, "seed"], claimed_variance: float, limit: float, alpha: float
) -> Equivalence:
    """Test that |mean of the projections| is below `limit`: its upper 95 % limit must be.

    Standard error over seeds with Student's quantile; for one seed the pipeline's claimed error with the normal one.
    "fail" where the two-sided interval of level 1 - alpha lies wholly beyond `limit` (alpha is the chance of a false
    alarm, shared among all tests), else "not decided" with the number of seeds with which an unbiased pipeline passes
    in 90 % of cases: [2 Phi^-1(0.95) s / limit]^2.
    """
    seeds = len(projections)
    value = float(np.mean(projections))
    scatter = float(np.std(projections, ddof=1)) if seeds > 1 else claimed_variance**0.5
    error = scatter / seeds**0.5
    student = stats.t(seeds - 1) if seeds > 1 else stats.norm()
    upper = abs(value) + float(student.ppf(CONFIDENCE)) * error
    lower = max(0.0, abs(value) - float(student.isf(alpha / 2.0)) * error)
    verdict = PASS if upper < limit else FAIL if lower > limit else NOT_DECIDED
    needed = ceil((2.0 * stats.norm.ppf(CONFIDENCE) * scatter / limit) ** 2)
    return Equivalence(value, error, lower, upper, limit, verdict, max(2, needed))
