"""Noise that the pixels of a read-out line share, as the background windows of a sample show it: 1/f that is left.

The level of a line counts in units of g, the error of an unlit pixel of each dispersion element: so it is even along a
line whatever flat and conversion have made of the data.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels import line_fit
from uptheramp.calibrate.kernels.aperture import ratio

FACTORS = 8  # kept of the covariance that the lines of an output give to its elements


def unit(typical: Float[Array, "y x"], beside: Float[Array, "y x"]) -> Float[Array, "x"]:
    """Root of the median variance of the window pixels of each element (that of all elements where it has none)."""
    variance = jnp.nanmedian(jnp.where(beside > 0, typical, jnp.nan), 0)
    return jnp.sqrt(jnp.where(jnp.isfinite(variance), variance, jnp.nanmedian(variance)))


def variance(
    image: Float[Array, "n y x"],
    good: Bool[Array, "n y x"],
    beside: Float[Array, "y x"],
    unit: Float[Array, "x"],
    *,
    along: bool,
    outputs: int,
) -> Float[Array, ""]:
    """Variance of the level of a line, in squared units: of window pixels' means beyond what independent pixels give.

    Lines lie along x, in stretches that `outputs` read at once, or across it. The typical image is that of the sample.
    """
    weight = jnp.where(good, beside, 0)
    typical = ratio((weight * image).sum(0), weight.sum(0))
    rest = jnp.where(good, (image - typical) / unit, 0)
    if along:
        lines = line_fit.Lines(-1, outputs)
        total, seen = lines.sums(weight), lines.sums(weight * rest)
    else:
        total, seen = weight.sum(1), (weight * rest).sum(1)
    known = total > 0
    level = ratio(seen, total)
    count = len(image)
    # a pixel's deviation from its own mean has lost a part 1 / count of its variance, and so has a line's
    per_pixel = ratio((weight * rest**2).sum(), weight.sum()) * count / max(count - 1, 1)
    found = ratio(jnp.where(known, level**2, 0).sum(), known.sum().astype(level.dtype)) * count / max(count - 1, 1)
    expected = per_pixel * ratio(ratio(jnp.ones_like(total), total).sum(), known.sum().astype(level.dtype))
    return ratio(jnp.maximum(found - expected, 0), 1 - expected / jnp.where(per_pixel > 0, per_pixel, 1))


def response(
    shape: Float[Array, "y x"],
    weight: Float[Array, "y x"],
    unit: Float[Array, "x"],
    line_variance: Float[Array, ""],
    outputs: int,
) -> Float[Array, "level level"]:
    """The covariance of what generalised least squares leaves unknown of the levels along x (kernels/line_fit.py)."""
    template, precision = (shape / unit).astype(jnp.float64), (weight * unit**2).astype(jnp.float64)
    normal = line_fit.normal(template, precision, (-2,), line_fit.Lines(-1, outputs))
    return line_fit.response(normal, line_variance * jnp.eye(len(normal)))


def shared(
    influence: Float[Array, "y x"], unit: Float[Array, "x"], covariance: Float[Array, "level level"], outputs: int
) -> Float[Array, "x factor"]:
    """Factors s of the covariance s s^T of elements that sum pixels by `influence`, from that of the levels."""
    height = len(influence)
    blocks = covariance.reshape(height, outputs, height, outputs)
    by_output = (influence * unit).reshape(height, outputs, -1)
    factors = []
    for o in range(outputs):  # elements of different outputs share nothing
        values, vectors = jnp.linalg.eigh(blocks[:, o, :, o])
        pulled = by_output[:, o].T.astype(vectors.dtype) @ (vectors * jnp.sqrt(jnp.maximum(values, 0)))
        left, strength, _ = jnp.linalg.svd(pulled, full_matrices=False)
        factors.append(left[:, :FACTORS] * strength[:FACTORS])
    return jax.scipy.linalg.block_diag(*factors).astype(influence.dtype)


def without_lines(
    image: Float[Array, "n y x"],
    good: Bool[Array, "n y x"],
    shape: Float[Array, "y x"],
    weight: Float[Array, "y x"],
    unit: Float[Array, "x"],
    response: Float[Array, "level level"],
    outputs: int,
) -> Float[Array, "n y x"]:
    """Subtract the levels of lines along x that generalised least squares finds, every element with its own flux."""
    lines = line_fit.Lines(-1, outputs)
    level = line_fit.levels(image / unit, good, shape / unit, weight * unit**2, response, (-2,), lines)
    return image - unit * lines.spread(level, image.shape[-2:])
