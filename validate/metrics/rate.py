"""Recovery of slopes against the true mean rate of the integration, and agreement with another pipeline."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Num
from numpy import ndarray


@dataclass(frozen=True)
class SlopeRecovery:
    """By class of pixels: how many, bias (e-/s, and in GLS bounds) with its error, variance over the bound's."""

    edges: Float[ndarray, "edge"]
    count: Num[ndarray, "class"]
    bias_e_per_s: Float[ndarray, "class"]
    bias_error_e_per_s: Float[ndarray, "class"]
    bias_in_bounds: Float[ndarray, "class"]
    bias_error_in_bounds: Float[ndarray, "class"]
    variance_ratio: Float[ndarray, "class"]
    variance_ratio_error: Float[ndarray, "class"]


def _moments(values: ndarray, member: ndarray, classes: int) -> tuple[ndarray, ndarray]:
    """Mean and sample variance of the values in each class; NaN where a class holds fewer than two."""
    count = np.bincount(member, minlength=classes).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.bincount(member, values, classes) / count
        variance = np.bincount(member, (values - mean[member]) ** 2, classes) / np.where(count > 1, count - 1.0, np.nan)
    return mean, variance


def slope_recovery(
    slope_e_per_s: Float[ndarray, "*pixel"],
    truth_e_per_s: Float[ndarray, "*pixel"],
    bound_e_per_s: Float[ndarray, "*pixel"],
    by: Num[ndarray, "*pixel"],
    edges: Float[ndarray, "edge"],
) -> SlopeRecovery:
    """Bias <s^ - s> and variance of the slopes, in classes of `by`: edges[i] <= by < edges[i+1].

    `truth` is the true mean rate over the integration, `bound` the standard deviation sqrt(`limits.slope_variance`).
    `by` is the flux, the number of usable groups, or the distance from saturation (last usable signal / saturation).
    Bias in bounds is <(s^ - s)/bound>; variance ratio Var[(s^ - s)/bound], 1 at the bound, error sqrt(2/(n-1)).
    """
    member = np.digitize(by, edges) - 1
    use = np.isfinite(slope_e_per_s) & np.isfinite(bound_e_per_s) & (member >= 0) & (member < len(edges) - 1)
    classes, member = len(edges) - 1, member[use]
    error = (slope_e_per_s - truth_e_per_s)[use].astype(float)
    mean, variance = _moments(error, member, classes)
    mean_in, variance_in = _moments(error / bound_e_per_s[use], member, classes)
    count = np.bincount(member, minlength=classes)
    safe = np.where(count > 1, count, np.nan)
    return SlopeRecovery(
        edges=np.asarray(edges, float),
        count=count,
        bias_e_per_s=mean,
        bias_error_e_per_s=np.sqrt(variance / safe),
        bias_in_bounds=mean_in,
        bias_error_in_bounds=np.sqrt(variance_in / safe),
        variance_ratio=variance_in,
        variance_ratio_error=variance_in * np.sqrt(2.0 / (safe - 1.0)),
    )


@dataclass(frozen=True)
class Agreement:
    """How many pixels were compared, the fraction that agrees, the largest ratio of difference to tolerance."""

    compared: int
    fraction: float
    worst_ratio: float
    flag_differences: int  # pixels left out because their group flags differ


def agreement(
    slope: Float[ndarray, "*pixel"],
    other: Float[ndarray, "*pixel"],
    other_error: Float[ndarray, "*pixel"],
    equal_flags: Bool[ndarray, "*pixel"],
) -> Agreement:
    """Agreement with another pipeline: |difference| <= 1e-5 |slope| + 1e-3 ERR on pixels with equal group flags.

    `slope` and ERR on the right side are the other pipeline's. Pixels where both are NaN are not compared; where one
    is, they disagree.
    """
    neither = ~np.isfinite(slope) & ~np.isfinite(other)
    use = equal_flags & ~neither
    tolerance = 1e-5 * np.abs(other[use]) + 1e-3 * other_error[use]
    difference = np.abs(slope[use].astype(float) - other[use])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(difference == 0.0, 0.0, difference / tolerance)
    ratio = np.where(np.isfinite(ratio), ratio, np.inf)
    return Agreement(
        compared=int(use.sum()),
        fraction=float(np.mean(ratio <= 1.0)) if use.any() else float("nan"),
        worst_ratio=float(ratio.max()) if use.any() else float("nan"),
        flag_differences=int((~equal_flags).sum()),
    )
