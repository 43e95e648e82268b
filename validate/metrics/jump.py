"""Recovery of cosmic-ray jumps: how many true ones are found, how many false ones are made."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import maximum_filter

from uptheramp.validate.metrics.intervals import clopper_pearson

CLEAN_SIGMA = 0.1  # a pixel is clean where no charge above this fell within 3 x 3


@dataclass(frozen=True)
class Fraction:
    """A counted fraction with its 68.27 % Clopper-Pearson interval; NaN where nothing was counted."""

    value: float
    low: float
    high: float
    count: int


def _fraction(found: ndarray) -> Fraction:
    if not found.size:
        return Fraction(float("nan"), float("nan"), float("nan"), 0)
    hits = int(found.sum())
    return Fraction(hits / found.size, *clopper_pearson(hits, found.size), found.size)


def efficiency(
    flagged: Bool[ndarray, "integration difference y x"],
    deposited_e: Float[ndarray, "integration difference y x"],
    sigma_e: Float[ndarray, "*integration difference y x"],
    k: float,
    usable: Bool[ndarray, "integration difference y x"],
) -> Fraction:
    """Efficiency(k): fraction found of group differences whose own deposited charge is >= k sigma_diff.

    `flagged` are own detections: neighbour and after-jump flags are not to be in it.
    """
    return _fraction(flagged[(deposited_e >= k * sigma_e) & usable])


def clean(
    deposited_e: Float[ndarray, "integration difference y x"], sigma_e: Float[ndarray, "*integration difference y x"]
) -> Bool[ndarray, "integration difference y x"]:
    """Differences in pixels with no true charge above 0.1 sigma within 3 x 3 pixels, in any group of the integration.

    The whole integration counts, since a hit leaves charge-dependent traces in the differences that follow.
    """
    hit = (deposited_e > CLEAN_SIGMA * sigma_e).any(axis=1, keepdims=True)
    near = maximum_filter(hit, size=(1, 1, 3, 3), mode="constant", cval=False)
    return np.broadcast_to(np.logical_not(near), deposited_e.shape)


def false_positive_rate(
    flagged: Bool[ndarray, "integration difference y x"],
    deposited_e: Float[ndarray, "integration difference y x"],
    sigma_e: Float[ndarray, "*integration difference y x"],
    usable: Bool[ndarray, "integration difference y x"],
) -> Fraction:
    """Count the flagged fraction of differences in pixels with no true charge above 0.1 sigma within 3 x 3."""
    return _fraction(flagged[clean(deposited_e, sigma_e) & usable])


def efficiency_at_rate(
    score: Float[ndarray, "integration difference y x"],
    deposited_e: Float[ndarray, "integration difference y x"],
    sigma_e: Float[ndarray, "*integration difference y x"],
    k: float,
    usable: Bool[ndarray, "integration difference y x"],
    rate: float,
) -> tuple[Fraction, float]:
    """Efficiency(k) at an equal false-positive rate (1e-5, 1e-4, 1e-3), and the threshold on `score` that gives it.

    The threshold is the quantile 1 - rate of the score (any statistic that grows with the evidence) over clean
    differences: methods are compared at equal false-positive rate, never at equal nominal sigma.
    """
    quiet = score[clean(deposited_e, sigma_e) & usable]
    if quiet.size * rate < 10.0:
        raise ValueError(
            f"{quiet.size} clean differences cannot fix a false-positive rate of {rate:g}; need {10 / rate:g}"
        )
    threshold = float(np.quantile(quiet, 1.0 - rate))
    return efficiency(score > threshold, deposited_e, sigma_e, k, usable), threshold
