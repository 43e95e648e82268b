"""Bare array maths of the profile of a spectrum across its dispersion: images (y, x), light dispersed along x.

Two ways to hold down its noise: a parabola along the dispersion for each row (Horne 1986), and a spline of the distance
from the trace whose coefficients change slowly along it (after Marsh 1989), which has derivatives.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.kernels import columns
from uptheramp.calibrate.kernels.aperture import ratio

INTERVALS = 24  # between the knots of the spline, over the width of the aperture
DEGREE = 4  # of its coefficients along the dispersion
CENTRE_DEGREE = 3  # of the trace
STIFFNESS = 1e-5  # penalty on second differences of coefficients, in terms of the typical weight of one


class TraceSpline(NamedTuple):
    """Profile as a function of the distance from the trace: sum_jk c_jk B_j(y - centre(x)) T_k(x)."""

    centre_px: Float[Array, "x"]
    first_px: Float[Array, ""]  # distance at which the middle of the first basis function lies
    step_px: Float[Array, ""]
    coefficients: Float[Array, "basis power"]


def local_parabola(
    value: Float[Array, "y x"], weight: Float[Array, "y x"], scale_px: Float[Array, ""]
) -> Float[Array, "y x"]:
    """Smooth along x: the value of the parabola fitted to neighbours, weighted by exp(-(d / scale)^2 / 2) too."""
    x = jnp.arange(value.shape[-1])
    d = (x[:, None] - x[None, :]) / scale_px
    near = jnp.exp(-0.5 * d**2)
    moments = [weight @ (near * d**k) for k in range(5)]
    sums = jnp.stack([(weight * value) @ (near * d**k) for k in range(3)], 1)
    normal = jnp.stack([jnp.stack([moments[i + j] for j in range(3)], 1) for i in range(3)], 1)
    return jnp.einsum("ykx,ykx->yx", columns.inverse(normal)[:, 0], sums)


def centre(value: Float[Array, "y x"], inside: Float[Array, "y x"], weight: Float[Array, "x"]) -> Float[Array, "x"]:
    """Row of the trace: centroids of the light inside the aperture, a polynomial along x through them."""
    row = jnp.arange(value.shape[0], dtype=jnp.float64)[:, None]
    light = inside * jnp.maximum(value, 0)
    seen = ratio((light * row).sum(0), light.sum(0))
    weight = jnp.where(light.sum(0) > 0, weight, 0).astype(jnp.float64)
    powers = _powers(value.shape[1], CENTRE_DEGREE)
    middle = ratio((weight * seen).sum(), weight.sum())
    return middle + powers @ _solve((powers.T * weight) @ powers, powers.T @ (weight * (seen - middle)))


def fit_spline(
    value: Float[Array, "y x"],
    weight: Float[Array, "y x"],
    centre_px: Float[Array, "x"],
    reach_px: tuple[Float[Array, ""], Float[Array, ""]],
) -> TraceSpline:
    """Least squares of the spline; `reach_px` are the lowest and highest distance from the trace that it covers."""
    step = (reach_px[1] - reach_px[0]) / INTERVALS
    spline = TraceSpline(centre_px, reach_px[0] - step, step, jnp.zeros((INTERVALS + 3, DEGREE + 1)))
    row = jnp.arange(value.shape[0], dtype=jnp.float64)

    def add(sums: tuple[Array, Array], column: tuple[Array, ...]) -> tuple[tuple[Array, Array], None]:
        v, w, middle, power = column
        basis = _basis(_place(row - middle, spline))
        normal = jnp.einsum("ij,k,l->ikjl", (basis.T * w) @ basis, power, power)
        return (sums[0] + normal, sums[1] + jnp.outer(basis.T @ (w * v), power)), None

    shape = spline.coefficients.shape
    powers = _powers(value.shape[1], DEGREE)
    planes = (value.T.astype(jnp.float64), weight.T.astype(jnp.float64), centre_px, powers)
    (normal, right), _ = jax.lax.scan(add, (jnp.zeros(shape + shape), jnp.zeros(shape)), planes)
    size = int(np.prod(shape))
    bend = np.kron(np.diff(np.eye(shape[0]), 2, axis=0).T @ np.diff(np.eye(shape[0]), 2, axis=0), np.eye(shape[1]))
    normal = normal.reshape(size, size)
    found = _solve(normal + STIFFNESS * jnp.trace(normal) / size * bend, right.ravel())
    return spline._replace(coefficients=found.reshape(shape))


def evaluate(
    spline: TraceSpline, shape: tuple[int, int]
) -> tuple[Float[Array, "y x"], Float[Array, "y x"], Float[Array, "y x"]]:
    """Profile P(u), and its derivatives to the position of the trace, -P', and to its relative width, -(u P' + P)."""
    row = jnp.arange(shape[0], dtype=jnp.float64)

    def column(x: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        middle, power = x
        u = row - middle
        place, along = _place(u, spline), spline.coefficients @ power
        profile, slope = _basis(place) @ along, _basis_slope(place) @ along / spline.step_px
        return profile, -slope, -(u * slope + profile)

    images = jax.lax.map(column, (spline.centre_px, _powers(shape[1], DEGREE)))
    profile, position, width = (image.T for image in images)
    return profile, position, width


def _place(u: Float[Array, "y"], spline: TraceSpline) -> Float[Array, "y basis"]:
    """Distance of each pixel from the middle of each basis function, in steps."""
    return (u - spline.first_px)[:, None] / spline.step_px - np.arange(len(spline.coefficients))


def _basis(s: Float[Array, "..."]) -> Float[Array, "..."]:
    """The cubic B-spline with knots at whole numbers."""
    a = jnp.abs(s)
    return jnp.where(a < 1, 2 / 3 - a**2 + a**3 / 2, jnp.maximum(2 - a, 0) ** 3 / 6)


def _basis_slope(s: Float[Array, "..."]) -> Float[Array, "..."]:
    a = jnp.abs(s)
    return jnp.where(a < 1, -2 * s + 1.5 * s * a, -jnp.sign(s) * jnp.maximum(2 - a, 0) ** 2 / 2)


def _powers(length: int, degree: int) -> Float[np.ndarray, "x power"]:
    """Legendre polynomials along the dispersion."""
    return np.polynomial.legendre.legvander(np.linspace(-1, 1, length), degree)


def _solve(normal: Float[Array, "n n"], right: Float[Array, "n"]) -> Float[Array, "n"]:
    """Solve, with a ridge of rounding's worth where nothing is known."""
    ridge = 1e-12 * jnp.trace(normal) / len(right) + 1e-300
    return jnp.linalg.solve(normal + ridge * jnp.eye(len(right)), right)
