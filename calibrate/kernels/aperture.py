"""Bare array maths of extraction: how much of each pixel an aperture takes, and lines drawn through the background.

`axis` is the array axis across the dispersion: -2 where light is dispersed along x, -1 where along y. Arrays "across"
have shape (n, 1) or (1, n) so that they broadcast against images; nothing is ever transposed.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

Image = Float[Array, "*batch y x"]


class Line(NamedTuple):
    """`level + slope * u` per dispersion element, `u` from `coordinate`; the axis across it has length 1."""

    level: Float[Array, "*batch one dispersion"]
    slope: Float[Array, "*batch one dispersion"]


def across_axis(dispersion_axis: int) -> int:
    """Array axis across the dispersion, for the keyword DISPAXIS (1 along x, 2 along y)."""
    return {1: -2, 2: -1}[dispersion_axis]


def coordinate(shape: tuple[int, ...], axis: int) -> np.ndarray:
    """Position across the dispersion, -1 to 1, shaped to broadcast against (y, x)."""
    n = shape[axis]
    u = np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
    return u[:, None] if axis == -2 else u[None, :]


def edge(coefficients: Float[Array, "term"], shape: tuple[int, ...], axis: int) -> Float[Array, "..."]:
    """Evaluate an edge polynomial at every dispersion pixel, `sum_k c_k p^k`, shaped to broadcast against (y, x)."""
    pixel = np.arange(shape[-1 if axis == -2 else -2], dtype=float)
    value = jnp.polyval(jnp.asarray(coefficients)[::-1], jnp.asarray(pixel))
    return value[None, :] if axis == -2 else value[:, None]


def coverage(
    lower: Float[Array, "term"], upper: Float[Array, "term"], shape: tuple[int, ...], axis: int
) -> Float[Array, "y x"]:
    """Fraction of each pixel between the edges; pixel j covers j - 0.5 .. j + 0.5."""
    pixel = np.arange(shape[axis], dtype=float)
    pixel = pixel[:, None] if axis == -2 else pixel[None, :]
    start = jnp.maximum(edge(lower, shape, axis), pixel - 0.5)
    stop = jnp.minimum(edge(upper, shape, axis), pixel + 0.5)
    return jnp.maximum(stop - start, 0.0)


def ratio(numerator: Float[Array, "..."], denominator: Float[Array, "..."]) -> Float[Array, "..."]:
    """`numerator / denominator`, 0 with zero gradient where the denominator is not positive."""
    positive = denominator > 0
    return jnp.where(positive, numerator, 0) / jnp.where(positive, denominator, 1)


def _inverse(weight: Image, u: np.ndarray, axis: int, order: int) -> tuple[Array, Array, Array]:
    """Elements (00, 01, 11) of the inverse normal matrix of a line of degree 0 or 1; a lone pixel gives degree 0."""
    s0 = jnp.sum(weight, axis, keepdims=True)
    if order == 0:
        inverse = ratio(jnp.ones_like(s0), s0)
        return inverse, jnp.zeros_like(s0), jnp.zeros_like(s0)
    s1 = jnp.sum(weight * u, axis, keepdims=True)
    s2 = jnp.sum(weight * u**2, axis, keepdims=True)
    mean = ratio(s1, s0)
    spread = jnp.maximum(s2 - mean * s1, 0)
    # below this the pixels in use are one and the same place, and the slope is rounding error
    spread = jnp.where(spread > 1e-5 * s0, spread, 0)
    i11 = ratio(jnp.ones_like(s0), spread)
    return ratio(jnp.ones_like(s0), s0) + mean**2 * i11, -mean * i11, i11


def fit_line(data: Image, weight: Image, u: np.ndarray, axis: int, order: int) -> Line:
    """Weighted least squares of a constant (order 0) or a line (order 1) across the dispersion; 0 without weight."""
    i00, i01, i11 = _inverse(weight, u, axis, order)
    t0 = jnp.sum(weight * data, axis, keepdims=True)
    t1 = jnp.sum(weight * data * u, axis, keepdims=True)
    return Line(i00 * t0 + i01 * t1, i01 * t0 + i11 * t1)


def influence(aperture: Float[Array, "*#batch y x"], weight: Image, u: np.ndarray, axis: int, order: int) -> Image:
    """How much each window pixel adds to the fitted background summed over the aperture: sum(h * data) is that sum."""
    i00, i01, i11 = _inverse(weight, u, axis, order)
    a0 = jnp.sum(aperture, axis, keepdims=True)
    a1 = jnp.sum(aperture * u, axis, keepdims=True)
    return weight * ((i00 * a0 + i01 * a1) + (i01 * a0 + i11 * a1) * u)


def clipped(
    data: Image, variance: Image, weight: Image, u: np.ndarray, axis: int, order: int, sigma: Float[Array, ""]
) -> Bool[Array, "*batch y x"]:
    """Pixels within `sigma` standard errors of a Huber line through the windows (all of them where none is within).

    Huber's location comes from reweighting, `w = min(1, 1.5 error / |residual|)`: five rounds bring the pull of one
    arbitrarily bright pixel below half an error of the mean, without the sort that a median costs.
    """
    error = jnp.sqrt(jnp.maximum(variance, 0))

    def reweight(_: int, robust: Image) -> Image:
        residual = _residual(data, robust, u, axis, order)
        return weight * jnp.minimum(1, ratio(1.5 * error, jnp.abs(residual)) + (residual == 0))

    robust = jax.lax.fori_loop(0, 5, reweight, weight)
    known = error > 0
    limit = jnp.where(known, sigma * jnp.where(known, error, 1), jnp.inf)
    within = jnp.abs(_residual(data, robust, u, axis, order)) <= limit
    kept = within & (weight > 0)
    return jnp.where(jnp.any(kept, axis, keepdims=True), kept, weight > 0)


def _residual(data: Image, weight: Image, u: np.ndarray, axis: int, order: int) -> Image:
    """Subtract the weighted line."""
    line = fit_line(data, weight, u, axis, order)
    return data - (line.level + line.slope * u)
