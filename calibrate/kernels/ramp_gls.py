"""Generalised least squares slope of a ramp from its group differences, in closed form.

Groups are evenly spaced and average N frames each. A difference of two groups has the variance 2 B + a T, neighbouring
ones the covariance -B, others none (Brandt 2024, PASP 136, 045004), with

    B = sigma^2 / N - a delta,    delta = t_frame (N^2 - 1) / (6 N),

a the Poisson variance per second, T the time between groups, sigma the noise of one read; for single frames
B = sigma^2. Such a matrix C has the solution of C w = a T 1 on a run of n flag-free differences

    w_j = 1 - (q^j + q^(n+1-j)) / (1 + q^(n+1)) = (1 - q^j) (1 - q^(n+1-j)) / (1 + q^(n+1)),    q + 1/q = 2 + a T / B,

so the slope is the weighted mean of all runs and needs no linear solve. The product form is used: it loses no digits
where q is close to 1 (read noise dominates). q is negative where averaging correlates neighbours positively (B < 0).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels import planes

Planes = Any  # an array (difference, ...) or, where there are few, a list of planes
LEAST_RATIO = 1e-6  # floor of a T over the read variance: below it the weights no longer change


def averaging_delay(nframes: int, frame_time_s: Float[Array, ""]) -> Float[Array, ""]:
    """delta: mean time of a group of averaged frames minus its variance-weighted time, s."""
    return frame_time_s * ((nframes**2 - 1) / (6 * nframes))


def weights(
    usable: Planes,
    poisson_per_s: Float[Array, "..."],
    read_variance: Float[Array, "..."],
    spacing_s: Float[Array, ""],
    delay_s: Float[Array, ""],
) -> Planes:
    """Relative GLS weights of the differences, 0 where not usable.

    `poisson_per_s` is a (variance per second), `read_variance` that of one group (sigma^2 / N), in the same units.
    """
    poisson = jnp.maximum(poisson_per_s * spacing_s, LEAST_RATIO * read_variance)
    b = read_variance - poisson * (delay_s / spacing_s)
    root = jnp.sqrt(poisson * (4 * b + poisson))
    q = 2 * b / (2 * b + poisson + root)
    complement = (poisson + root) / (2 * b + poisson + root)  # 1 - q without cancellation

    def weight(before: Array, after: Array) -> Array:
        return before * after / (1 + (1 - before) * (1 - after)) / poisson

    return jax.tree.map(weight, *(_sweep(usable, q, complement, reverse=back) for back in (False, True)))


def soft_weights(
    keep: Planes,
    poisson_per_s: Float[Array, "..."],
    read_variance: Float[Array, "..."],
    spacing_s: Float[Array, ""],
    delay_s: Float[Array, ""],
) -> Planes:
    """GLS weights C^-1 1 where difference k is kept to the degree w_k: those of `weights` where w is 0 or 1.

    Kept in part means noisier, by (1 - w) / w of its variance a. The inverse pivots of that covariance,
    P_k = w_k / (a - w_k b^2 P_{k-1}) with b = B, are 0 where w is, so nothing is divided by w.
    """
    poisson = jnp.maximum(poisson_per_s * spacing_s, LEAST_RATIO * read_variance)
    b = read_variance - poisson * (delay_s / spacing_s)
    a = 2 * b + poisson

    def down(before: tuple[Array, Array], _: Any, w: Array) -> tuple[Any, Any]:
        inverse_pivot, y = before
        y = 1 + b * inverse_pivot * y
        inverse_pivot = w / (a - w * b**2 * inverse_pivot)
        return (inverse_pivot, y), (inverse_pivot, y)

    def up(later: Array, _: Any, row: tuple[Array, Array]) -> tuple[Array, Array]:
        inverse_pivot, y = row
        solution = inverse_pivot * (y + b * later)
        return solution, solution

    zero = jnp.zeros(jnp.broadcast_shapes(keep[0].shape, a.shape), a.dtype)
    _, rows = planes.scan(down, (zero, zero), len(keep), keep)
    return planes.scan(up, zero, len(keep), rows, reverse=True)[1]


def _sweep(usable: Planes, q: Float[Array, "..."], complement: Float[Array, "..."], *, reverse: bool = False) -> Planes:
    """1 - q^j with j counted from the start of each run, by e -> (1 - q) + q e; 0 where not usable."""

    def advance(e: Float[Array, "..."], _: Any, ok: Bool[Array, "..."]) -> tuple[Array, Array]:
        e = jnp.where(ok, complement + q * e, 0)
        return e, e

    start = jnp.zeros(jnp.broadcast_shapes(usable[0].shape, q.shape), q.dtype)
    return planes.scan(advance, start, len(usable), usable, reverse=reverse)[1]


class Sums(NamedTuple):
    """Over the differences of a ramp: of w, w d, w^2, and of (w_j - w_{j-1})^2 with zeros at the ends."""

    weight: Float[Array, "..."]
    difference: Float[Array, "..."]
    square: Float[Array, "..."]
    rough: Float[Array, "..."]


def sums(weight: Planes, difference: Planes) -> Sums:
    """All that slope and variances need of the weights, in one go over them."""

    def add(carry: tuple[Sums, Array], w: Array, d: Array) -> tuple[Sums, Array]:
        s, last = carry
        return Sums(s.weight + w, s.difference + w * d, s.square + w**2, s.rough + (w - last) ** 2), w

    zero = jnp.zeros_like(weight[0])
    found, last = planes.fold(add, (Sums(zero, zero, zero, zero), zero), weight, difference)
    return found._replace(rough=found.rough + last**2)


def estimate(
    found: Sums,
    poisson_per_s: Float[Array, "..."],
    read_variance: Float[Array, "..."],
    spacing_s: Float[Array, ""],
    delay_s: Float[Array, ""],
) -> tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."]]:
    """Slope, and its Poisson and read variances, whether or not the weights are the best ones.

    w^T C w = a (T sum w^2 - delta S) + sigma^2 / N S, over T^2, with S = sum (w_j - w_{j-1})^2 and weights whose sum
    is 1.
    """
    total = jnp.where(found.weight > 0, found.weight, 1)
    square, rough = found.square / total**2, found.rough / total**2
    poisson = poisson_per_s * (spacing_s * square - delay_s * rough)
    return found.difference / total / spacing_s, poisson / spacing_s**2, read_variance * rough / spacing_s**2
