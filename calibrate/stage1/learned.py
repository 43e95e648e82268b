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


class LinePredictor(eqx.Module):
    """How the drift of each line follows from its side reference pixels and those of the other lines.

    `pixel` are the weights of the side pixels in the mean of their line and side (sum 1, or 0 where none is usable),
    `line` the weights of those means, all lines of one side before those of the other, in the level of each line.
    """

    pixel: Float[Array, "line pixel"]
    line: Float[Array, "output line measured"]
