"""Whether a model describes the ramps: chi-square, and what residuals of neighbours have in common."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Checked(NamedTuple):
    """A figure with its expectation for a right model, and how many standard errors lie between."""

    value: float
    expected: float
    sigma: float

    def words(self) -> str:
        """As a page shows it."""
        return f"{self.value:.4f}, expected {self.expected:g} ({self.sigma:+.1f} sigma)"


def chi_square(values: Float[np.ndarray, "pixel"], freedom: Float[np.ndarray, "pixel"]) -> Checked:
    """Sum of chi-square over degrees of freedom, expected 1 +- sqrt(2 / degrees)."""
    total = float(freedom.sum())
    ratio = float(values.sum()) / total
    return Checked(ratio, 1.0, (ratio - 1) * np.sqrt(total / 2))


def neighbours(whitened: Float[np.ndarray, "difference y x"], axis: int) -> Checked:
    """Correlation of whitened residuals of neighbours along y (1) or x (2); NaN where not used.

    Interpixel capacitance gives 2 alpha; noise that pixels do not share gives 0 +- 1 / sqrt(pairs).
    """
    moved = np.moveaxis(whitened, axis, -1)
    one, other = moved[..., :-1], moved[..., 1:]
    both = np.isfinite(one) & np.isfinite(other)
    pairs = max(int(both.sum()), 1)
    power = np.sqrt(np.mean(one[both] ** 2) * np.mean(other[both] ** 2)) if both.any() else 1.0
    correlation = float(np.sum(np.where(both, one * other, 0)) / pairs / power)
    return Checked(correlation, 0.0, correlation * np.sqrt(pairs))
