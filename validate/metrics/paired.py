"""Is B better than A? Differences of paired seeds, and what follows from them."""

from dataclasses import dataclass

from jaxtyping import Float
from numpy import ndarray

PREFERRED_SIGMA = 3.0  # METRICS.md: preferred only where the paired difference exceeds 3 standard errors
NO_PREFERENCE = "no preference"


@dataclass(frozen=True)
class Difference:
    """Mean of B - A with its standard error and the degrees of freedom behind it; `paired` or of independent seeds."""

    value: float
    standard_error: float
    freedom: float
    seeds: int
    paired: bool


def paired(a: Float[ndarray, "seed"], b: Float[ndarray, "seed"]) -> Difference:
    """Difference on common seeds: mean of b_s - a_s, standard error s / sqrt(S), S - 1 degrees of freedom."""
    d = b - a
    return Difference(float(d.mean()), float(d.std(ddof=1) / len(d) ** 0.5), len(d) - 1.0, len(d), True)


def independent(a: Float[ndarray, "seed_a"], b: Float[ndarray, "seed_b"]) -> Difference:
    """Difference of independent seeds: root of the summed variances of the means, freedom by Welch-Satterthwaite."""
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    below = va**2 / (len(a) - 1) + vb**2 / (len(b) - 1)
    freedom = float((va + vb) ** 2 / below) if below > 0 else float(len(a) + len(b) - 2)
    return Difference(float(b.mean() - a.mean()), float((va + vb) ** 0.5), freedom, min(len(a), len(b)), False)


def preference(d: Difference) -> str:
    """Which has the smaller loss: "A", "B", or "no preference" within 3 standard errors of the paired difference."""
    if not d.paired or not abs(d.value) > PREFERRED_SIGMA * d.standard_error:
        return NO_PREFERENCE
    return "A" if d.value > 0 else "B"
