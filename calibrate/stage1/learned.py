"""What steps learn from a sample of the exposure before the run: expectations that no single integration made."""

import equinox as eqx
from jaxtyping import Array, Float, Int


class RateTemplate(eqx.Module):
    """Typical rate of each pixel, DN/s; NaN where the sample holds no usable difference."""

    data: Float[Array, "y x"]


class DifferenceTemplate(eqx.Module):
    """Typical difference of neighbouring groups of each pixel, DN, by group; NaN where the sample holds none.

    `count` is the number of integrations that the median was taken over.
    """

    data: Float[Array, "difference y x"]
    count: Float[Array, "difference y x"]


class SeriesTemplate(eqx.Module):
    """Expected difference of neighbouring groups of each pixel, DN, NaN where the sample holds none.

    `excess` is the standard deviation of the charge of a step there over what the noise model says, `integration` the
    numbers of the integrations in the sample.
    """

    data: Float[Array, "difference y x"]
    excess: Float[Array, "difference y x"]
    integration: Int[Array, "integration"]


class LinePredictor(eqx.Module):
    """How the drift of each line follows from its side reference pixels and those of the other lines.

    `pixel` are the weights of the side pixels in the mean of their line and side (sum 1, or 0 where none is usable),
    `line` the weights of those means, all lines of one side before those of the other, in the level of each line.
    """

    pixel: Float[Array, "line pixel"]
    line: Float[Array, "output line measured"]
