"""What steps learn from a sample of the exposure before the run: expectations that no single integration made."""

import equinox as eqx
from jaxtyping import Array, Float


class RateTemplate(eqx.Module):
    """Typical rate of each pixel, DN/s; NaN where the sample holds no usable difference."""

    data: Float[Array, "y x"]


class DifferenceTemplate(eqx.Module):
    """Typical difference of neighbouring groups of each pixel, DN, by group; NaN where the sample holds none.

    `count` is the number of integrations that the median was taken over.
    """

    data: Float[Array, "difference y x"]
    count: Float[Array, "difference y x"]
