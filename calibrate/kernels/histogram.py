"""Centre and width of a distribution by a Gaussian fitted to its histogram."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.calibrate.kernels import background
from uptheramp.calibrate.kernels.background import Interval, Ranked

BINS = 2000
REACH = 4.0  # clipped standard deviations on either side of the clipped mean
ROUNDS = 60  # of Levenberg and Marquardt
DAMPING, EASE, TIGHTEN = 1e-3, 0.3, 5.0


def gaussian(r: Ranked, kept: Interval) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Centre and standard deviation of the values of an interval; least squares, every bin with the same weight."""
    left = background.clip(r, kept)
    centre, spread = background.mean(r, left), background.deviation(r, left)
    edges = jnp.linspace(centre - REACH * spread, centre + REACH * spread, BINS + 1)
    values = r.values.astype(edges.dtype)
    below = jnp.searchsorted(values, edges[:-1], side="left"), jnp.searchsorted(values, edges[-1:], side="right")
    count = jnp.diff(jnp.clip(jnp.concatenate(below), kept.low, kept.high)).astype(edges.dtype)
    place = 0.5 * (edges[1:] + edges[:-1])
    top = jnp.argmax(count)
    scale = jnp.where(spread > 0, spread, 1)
    position, height = (place - place[top]) / scale, count / jnp.maximum(count[top], 1)

    def residual(p: Float[Array, "3"]) -> Float[Array, "bin"]:
        return p[0] * jnp.exp(-0.5 * ((position - p[1]) / p[2]) ** 2) - height

    def improve(_: int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        p, damping = carry
        rest, slope = residual(p), jax.jacfwd(residual)(p)
        normal = slope.T @ slope
        new = p - jnp.linalg.solve(normal + damping * jnp.diag(jnp.diag(normal)), slope.T @ rest)
        better = (residual(new) ** 2).sum() < (rest**2).sum()
        return jnp.where(better, new, p), damping * jnp.where(better, EASE, TIGHTEN)

    start = jnp.array([1.0, 0.0, 1.0]), jnp.asarray(DAMPING)
    fit, _ = jax.lax.fori_loop(0, ROUNDS, improve, start)
    known = jnp.isfinite(fit).all() & (spread > 0)
    return (
        jnp.where(known, place[top] + fit[1] * scale, centre),
        jnp.where(known, jnp.abs(fit[2]) * scale, spread),
    )
