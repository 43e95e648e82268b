"""Bare array maths of extraction: how much of each pixel an aperture takes, polynomials drawn through the background.

`axis` is the array axis across the dispersion: -2 where light is dispersed along x, -1 where along y. Arrays "across"
have shape (n, 1) or (1, n) so that they broadcast against images; nothing is ever transposed.
"""

from functools import reduce
from operator import add, mul
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels import order, small_matrix

Image = Float[Array, "*batch y x"]


def across_axis(dispersion_axis: int) -> int:
    """Array axis across the dispersion, for the keyword DISPAXIS (1 along x, 2 along y)."""
    return {1: -2, 2: -1}[dispersion_axis]


def coordinate(shape: tuple[int, ...], axis: int) -> np.ndarray:
    """Position across the dispersion, -1 to 1, shaped to broadcast against (y, x)."""
    n = shape[axis]
    u = np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
    return u[:, None] if axis == -2 else u[None, :]


def edge(
    coefficients: Float[Array, "term"], shape: tuple[int, ...], axis: int, along: Float[Array, "y x"] | None = None
) -> Float[Array, "..."]:
    """Evaluate an edge polynomial, `sum_k c_k p^k`, shaped to broadcast against (y, x).

    p is the pixel along the dispersion or, where it is given, what `along` holds at each pixel.
    """
    if along is not None:
        return jnp.polyval(jnp.asarray(coefficients)[::-1], along)
    pixel = np.arange(shape[-1 if axis == -2 else -2], dtype=float)
    value = jnp.polyval(jnp.asarray(coefficients)[::-1], jnp.asarray(pixel))
    return value[None, :] if axis == -2 else value[:, None]


def coverage(
    lower: Float[Array, "term"],
    upper: Float[Array, "term"],
    shape: tuple[int, ...],
    axis: int,
    along: Float[Array, "y x"] | None = None,
) -> Float[Array, "y x"]:
    """Fraction of each pixel between the edges; pixel j covers j - 0.5 .. j + 0.5. None where `along` is NaN."""
    pixel = np.arange(shape[axis], dtype=float)
    pixel = pixel[:, None] if axis == -2 else pixel[None, :]
    known = True if along is None else jnp.isfinite(along)
    along = None if along is None else jnp.where(known, along, 0)  # no NaN to derive
    start = jnp.maximum(edge(lower, shape, axis, along), pixel - 0.5)
    stop = jnp.minimum(edge(upper, shape, axis, along), pixel + 0.5)
    return jnp.where(known, jnp.maximum(stop - start, 0.0), 0.0)


def ratio(numerator: Float[Array, "..."], denominator: Float[Array, "..."]) -> Float[Array, "..."]:
    """`numerator / denominator`, 0 with zero gradient where the denominator is not positive."""
    positive = denominator > 0
    return jnp.where(positive, numerator, 0) / jnp.where(positive, denominator, 1)


def _inverse(weight: Image, u: np.ndarray, axis: int, degree: int) -> list[list[Array]]:
    """Elements [j][k] of the inverse normal matrix of `1, u, u^2, ...`; too few places give a lower degree."""
    if degree > 1:
        return _inverse_of_moments(weight, u, axis, degree)
    s0 = jnp.sum(weight, axis, keepdims=True)
    if degree == 0:
        return [[ratio(jnp.ones_like(s0), s0)]]
    s1 = jnp.sum(weight * u, axis, keepdims=True)
    s2 = jnp.sum(weight * u**2, axis, keepdims=True)
    mean = ratio(s1, s0)
    spread = jnp.maximum(s2 - mean * s1, 0)
    # below this the pixels in use are one and the same place, and the slope is rounding error
    spread = jnp.where(spread > 1e-5 * s0, spread, 0)
    i11 = ratio(jnp.ones_like(s0), spread)
    return [[ratio(jnp.ones_like(s0), s0) + mean**2 * i11, -mean * i11], [-mean * i11, i11]]


def _inverse_of_moments(weight: Image, u: np.ndarray, axis: int, degree: int) -> list[list[Array]]:
    """The same for degrees from 2 on, by Cholesky's way in double precision: powers of u are nearly alike."""
    double, u = weight.astype(jnp.float64), u.astype(np.float64)
    moment = [jnp.sum(double * u**k, axis, keepdims=True) for k in range(2 * degree + 1)]
    normal = jnp.stack([jnp.stack([moment[j + k] for k in range(degree + 1)], -1) for j in range(degree + 1)], -2)
    factor = small_matrix.cholesky
    for _ in normal.shape[:-2]:
        factor = jax.vmap(factor)
    # the last pivot squared is what of u^degree the lower powers leave
    pivot = jax.lax.stop_gradient(factor(normal))[..., -1, -1] ** 2
    solvable = pivot > 1e-12 * moment[0]
    solve = small_matrix.inverse
    for _ in normal.shape[:-2]:
        solve = jax.vmap(solve)
    full = solve(jnp.where(solvable[..., None, None], normal, jnp.eye(degree + 1)))
    lower = _inverse(double, u, axis, degree - 1)
    lower = [[*row, jnp.zeros_like(moment[0])] for row in lower] + [[jnp.zeros_like(moment[0])] * (degree + 1)]
    return [[jnp.where(solvable, full[..., j, k], lower[j][k]) for k in range(degree + 1)] for j in range(degree + 1)]


def fitted(data: Image, weight: Image, u: np.ndarray, axis: int, degree: int) -> Image:
    """A polynomial across the dispersion by weighted least squares, at every pixel; 0 without weight."""
    like = data.dtype
    inverse, kind = _inverse(weight, u, axis, degree), _kind(data, degree)
    data, weight = data.astype(kind), weight.astype(kind)
    right = [jnp.sum(weight * data * u**k, axis, keepdims=True) for k in range(degree + 1)]
    return _combined(inverse, right, u).astype(like)


def influence(aperture: Float[Array, "*#batch y x"], weight: Image, u: np.ndarray, axis: int, degree: int) -> Image:
    """How much each window pixel adds to the fitted background summed over the aperture: sum(h * data) is that sum."""
    inverse, kind = _inverse(weight, u, axis, degree), _kind(weight, degree)
    sums = [jnp.sum(aperture.astype(kind) * u**k, axis, keepdims=True) for k in range(degree + 1)]
    return (weight * _combined(inverse, sums, u)).astype(weight.dtype)


def _kind(image: Image, degree: int) -> Any:
    """The precision in which sums are taken: that of the image up to a line, double beyond."""
    return image.dtype if degree < 2 else jnp.float64


def _combined(inverse: list[list[Array]], right: list[Array], u: np.ndarray) -> Image:
    """The polynomial whose coefficients are `inverse @ right`, at every pixel across."""
    terms = [reduce(add, map(mul, row, right)) * u**j for j, row in enumerate(inverse)]
    return reduce(add, terms)


def middle(data: Image, chosen: Bool[Array, "*batch y x"], axis: int) -> Image:
    """Median of the chosen pixels of each dispersion element, the axis across it kept; 0 where there is none."""
    value = order.median(jnp.moveaxis(data, axis, 0), jnp.moveaxis(chosen, axis, 0))
    return jnp.expand_dims(jnp.where(jnp.isfinite(value), value, 0), axis)


def smoothed(data: Image, good: Bool[Array, "*batch y x"], axis: int, length: int) -> tuple[Image, Array]:
    """Mean of the good ones of `length` (odd) pixels along the dispersion, and whether there is one.

    The ends are continued, as by the official convolution.
    """
    along = -1 if axis == -2 else -2
    pad = [(0, 0)] * data.ndim
    pad[along] = (length // 2, length // 2)

    def total(image: Image) -> Image:
        wide = jnp.moveaxis(jnp.pad(image, pad, mode="edge"), along, 0)
        count = data.shape[along]
        return jnp.moveaxis(reduce(add, (wide[k : k + count] for k in range(length))), 0, along)

    number = total(good.astype(data.dtype))
    return ratio(total(jnp.where(good, data, 0)), number), number > 0


def clipped(
    data: Image, variance: Image, weight: Image, u: np.ndarray, axis: int, degree: int, sigma: Float[Array, ""]
) -> Bool[Array, "*batch y x"]:
    """Pixels within `sigma` standard errors of a Huber fit through the windows (all of them where none is within).

    Huber's location comes from reweighting, `w = min(1, 1.5 error / |residual|)`: five rounds bring the pull of one
    arbitrarily bright pixel below half an error of the mean, without the sort that a median costs.
    """
    error = jnp.sqrt(jnp.maximum(variance, 0))

    def residual(robust: Image) -> Image:
        return data - fitted(data, robust, u, axis, degree)

    def reweight(_: int, robust: Image) -> Image:
        left = residual(robust)
        return weight * jnp.minimum(1, ratio(1.5 * error, jnp.abs(left)) + (left == 0))

    robust = jax.lax.fori_loop(0, 5, reweight, weight)
    known = error > 0
    limit = jnp.where(known, sigma * jnp.where(known, error, 1), jnp.inf)
    within = jnp.abs(residual(robust)) <= limit
    kept = within & (weight > 0)
    return jnp.where(jnp.any(kept, axis, keepdims=True), kept, weight > 0)
