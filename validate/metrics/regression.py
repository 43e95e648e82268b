"""Whether a figure got worse from one version of the code to the next, by more than its seeds allow.

A figure has *moved* where the mean difference B - A exceeds a margin by more than its error allows: |d| > m + t s, with
Student's t for the chance of a false alarm that the whole family of figures shares, and m a tenth of the standard error
that the seeds leave on the figure itself: less than that nobody could see.
A figure that ought to be small is worse where it moved up. One that ought to be near an ideal is worse where it moved
away; mu_B^2 - mu_A^2 = (mu_B - mu_A)(mu_B + mu_A), so the sign of the middle (mu_A + mu_B)/2 decides, taken from
antithetic pairs where there are any. Only where the middle shows an improvement at 97.7 % is the move forgiven.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from uptheramp.validate.metrics.paired import Difference, independent, paired

POWER = 0.9
MARGIN = 0.1  # of the standard error of the mean of A
SIDE_SIGMA = 2.0  # of the middle, from which its side counts as known
SAME, BETTER, WORSE, MOVED = "same", "better", "worse", "moved"
FLAGGED = (WORSE, MOVED)


@dataclass(frozen=True)
class Sense:
    """What a good value is: near `ideal`, or small where it is None; `relative` figures compare by their logarithm."""

    ideal: float | None = None
    relative: bool = False


@dataclass(frozen=True)
class Sample:
    """The values of a figure by seed, and those of the antitheses of some of the seeds."""

    values: dict[int, float]
    mirrors: dict[int, float]

    def pairs(self, ideal: float) -> Float[ndarray, "pair"]:
        """Averages of antithetic pairs, minus the ideal."""
        both = sorted(self.values.keys() & self.mirrors.keys())
        return np.array([(self.values[s] + self.mirrors[s]) / 2 - ideal for s in both])


@dataclass(frozen=True)
class Move:
    """What a figure did: its difference, the verdict, and the smallest change that is caught with 90 % probability."""

    difference: Difference
    margin: float
    detectable: float
    verdict: str


def move(before: Sample, after: Sample, sense: Sense, alpha: float) -> Move | None:
    """Compare two versions, on their common seeds where there are two at least, else as independent ones.

    `alpha` is the chance of a false alarm of this figure. None where either has fewer than two values to compare.
    """
    common = sorted(before.values.keys() & after.values.keys())
    as_pairs = len(common) > 1
    seeds = (common, common) if as_pairs else (sorted(before.values), sorted(after.values))
    a, b = (np.array([s.values[k] for k in keys]) for s, keys in zip((before, after), seeds, strict=True))
    if sense.relative:
        a, b = np.log(a[a > 0]), np.log(b[b > 0])
    if min(len(a), len(b)) < 2 or (as_pairs and len(a) != len(b)):
        return None
    d = paired(a, b) if as_pairs else independent(a, b)
    margin = MARGIN * float(a.std(ddof=1)) / len(a) ** 0.5
    t = float(stats.t.isf(alpha / 2, d.freedom))
    detectable = margin + (t + float(stats.t.ppf(POWER, d.freedom))) * d.standard_error
    if not abs(d.value) > margin + t * d.standard_error:
        return Move(d, margin, detectable, SAME)
    if sense.ideal is None:
        return Move(d, margin, detectable, WORSE if d.value > 0 else BETTER)
    return Move(d, margin, detectable, _side(before, after, a, b, d.value, sense.ideal))


def _side(before: Sample, after: Sample, a: ndarray, b: ndarray, shift: float, ideal: float) -> str:
    """Whether a shift led away from the ideal: by the sign of the middle, as far as it is known."""
    quiet = before.pairs(ideal), after.pairs(ideal)
    estimates = quiet if min(map(len, quiet)) > 1 else (a - ideal, b - ideal)
    middle = sum(float(x.mean()) for x in estimates) / 2
    error = sum(float(x.std(ddof=1)) / len(x) ** 0.5 for x in estimates) / 2  # fully correlated: the careful choice
    toward = middle * np.sign(shift)
    if toward < -SIDE_SIGMA * error:
        return BETTER
    return WORSE if toward > SIDE_SIGMA * error else MOVED
