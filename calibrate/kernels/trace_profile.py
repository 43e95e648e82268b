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
DEGREE = 8  # of its coefficients along the dispersion
CENTRE_SCALE_PX = 20.0  # along the dispersion, over which centroids are smoothed
REACH = 4.0  # scales beyond which neighbours are not looked at
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
    near = jnp.where(jnp.abs(d) < REACH, jnp.exp(-0.5 * d**2), 0)
    weight = weight / jnp.maximum(weight.max(), jnp.finfo(weight.dtype).tiny)
    moments = [weight @ (near * d**k) for k in range(5)]
    sums = jnp.stack([(weight * value) @ (near * d**k) for k in range(3)], 1)
    normal = jnp.stack([jnp.stack([moments[i + j] for j in range(3)], 1) for i in range(3)], 1)
    return jnp.einsum("ykx,ykx->yx", columns.inverse(normal)[:, 0], sums)


def centre(value: Float[Array, "y x"], inside: Float[Array, "y x"], weight: Float[Array, "x"]) -> Float[Array, "x"]:
    """Row of the trace: the middle of the aperture and, smoothed along x, what centroids are off it."""
    row = jnp.arange(value.shape[0], dtype=jnp.float64)[:, None]
    light = inside * jnp.maximum(value, 0)
    middle = ratio((inside * row).sum(0), inside.sum(0))
    off = ratio((light * row).sum(0), light.sum(0)) - middle
    weight = jnp.where(light.sum(0) > 0, weight, 0).astype(jnp.float64)
    return middle + local_parabola(off[None], weight[None], jnp.asarray(CENTRE_SCALE_PX))[0]


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


def evaluate(spline: TraceSpline, shape: tuple[int, int]) -> Float[Array, "y x"]:
    """The profile that the spline is."""
    row = jnp.arange(shape[0], dtype=jnp.float64)

    def column(x: tuple[Array, Array]) -> Float[Array, "y"]:
        middle, power = x
        return _basis(_place(row - middle, spline)) @ (spline.coefficients @ power)

    return jax.lax.map(column, (spline.centre_px, _powers(shape[1], DEGREE))).T


def slopes(spline: TraceSpline, profile: Float[Array, "y x"]) -> tuple[Float[Array, "y x"], Float[Array, "y x"]]:
    """Derivatives of P(u) to the position of the trace, -P', and to its relative width about it, -(u P' + P).

    P' is that of the spline: where a trace crosses pixels at all phases it is known to a per cent, where it lies along
    a row what pixels show tells it less well (a Fourier derivative along the column is worse: its ringing in the wings
    is where pixels weigh most).
    """

    def moved(centre_px: Float[Array, "x"]) -> Float[Array, "y x"]:
        return evaluate(spline._replace(centre_px=centre_px), profile.shape)

    _, position = jax.jvp(moved, (spline.centre_px,), (jnp.ones_like(spline.centre_px),))
    row = jnp.arange(len(profile), dtype=profile.dtype)[:, None]
    return position, (row - spline.centre_px) * position - profile


def _place(u: Float[Array, "y"], spline: TraceSpline) -> Float[Array, "y basis"]:
    """Distance of each pixel from the middle of each basis function, in steps."""
    return (u - spline.first_px)[:, None] / spline.step_px - np.arange(len(spline.coefficients))


def _basis(s: Float[Array, "..."]) -> Float[Array, "..."]:
    """The cubic B-spline with knots at whole numbers."""
    a = jnp.abs(s)
    return jnp.where(a < 1, 2 / 3 - a**2 + a**3 / 2, jnp.maximum(2 - a, 0) ** 3 / 6)


def _powers(length: int, degree: int) -> Float[np.ndarray, "x power"]:
    """Legendre polynomials along the dispersion."""
    return np.polynomial.legendre.legvander(np.linspace(-1, 1, length), degree)


def _solve(normal: Float[Array, "n n"], right: Float[Array, "n"]) -> Float[Array, "n"]:
    """Solve, with a ridge of rounding's worth where nothing is known."""
    ridge = 1e-12 * jnp.trace(normal) / len(right) + 1e-300
    return jnp.linalg.solve(normal + ridge * jnp.eye(len(right)), right)
