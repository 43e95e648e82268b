"""Sizes that follow a power law between two bounds."""

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float


class PowerLaw(eqx.Module):
    """Density x^-power between `smallest` and a largest size."""

    smallest: Float[Array, ""]
    beyond: Float[Array, ""]  # share of the endless law above the largest size
    exponent: Float[Array, ""]  # power - 1

    @classmethod
    def between(cls, bounds: tuple[float, float], power: float) -> "PowerLaw":
        """Law of the sizes between two bounds; power > 1."""
        smallest, largest = bounds
        exponent = power - 1
        return cls(*(np.float32(v) for v in (smallest, (largest / smallest) ** -exponent, exponent)))

    def __call__(self, u: Float[Array, "*size"]) -> Float[Array, "*size"]:
        """Return the size at the quantile u."""
        return self.smallest * (1 - u * (1 - self.beyond)) ** (-1 / self.exponent)
