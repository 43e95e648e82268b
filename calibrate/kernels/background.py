"""Which pixels of an image are background, by iterated clipping, and their level.

Clipping by bounds keeps an interval of the sorted values, so that after one sort medians are look-ups and standard
deviations differences of running sums: every further round is free.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

ROUNDS = 5  # of clipping for each estimate
SIGMA = 3.0  # its bounds, standard deviations


class Ranked(NamedTuple):
    """Sorted values of one image (what is masked last), and running sums of value and square about an origin."""

    values: Float[Array, "pixel"]
    origin: Float[Array, ""]
    sums: Float[Array, "edge"]
    squares: Float[Array, "edge"]


class Interval(NamedTuple):
    """Ranks low ... high - 1 of the sorted values."""

    low: Int[Array, ""]
    high: Int[Array, ""]


def ranked(image: Float[Array, "y x"], mask: Bool[Array, "y x"]) -> tuple[Ranked, Interval]:
    """Sort the pixels that the mask admits."""
    values = jnp.sort(jnp.where(mask, image, jnp.inf).ravel())
    count = mask.sum(dtype=jnp.int32)
    origin = values[jnp.maximum(count - 1, 0) // 2]
    known = jnp.arange(len(values)) < count
    offset = jnp.where(known, values - jnp.where(known, origin, 0), 0).astype(jnp.float64)
    zero = jnp.zeros(1)
    running = (jnp.concatenate([zero, jnp.cumsum(x)]) for x in (offset, offset**2))
    return Ranked(values, origin, *running), Interval(jnp.zeros((), jnp.int32), count)


def median(r: Ranked, kept: Interval) -> Float[Array, ""]:
    """Median of an interval; NaN where it is empty."""
    count = kept.high - kept.low
    last = len(r.values) - 1
    low, high = (jnp.clip(kept.low + k, 0, last) for k in ((count - 1) // 2, count // 2))
    return jnp.where(count > 0, 0.5 * (r.values[low] + r.values[high]), jnp.nan)


def between(r: Ranked, kept: Interval, lower: Float[Array, ""], upper: Float[Array, ""]) -> Interval:
    """Those of an interval whose values lie within bounds, ends included."""
    low = jnp.searchsorted(r.values, lower.astype(r.values.dtype), side="left").astype(jnp.int32)
    high = jnp.searchsorted(r.values, upper.astype(r.values.dtype), side="right").astype(jnp.int32)
    return Interval(jnp.clip(low, kept.low, kept.high), jnp.clip(high, kept.low, kept.high))


def _moments(r: Ranked, kept: Interval, centre: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean offset from a centre, and mean square of it."""
    count = jnp.maximum(kept.high - kept.low, 1)
    first = (r.sums[kept.high] - r.sums[kept.low]) / count
    second = (r.squares[kept.high] - r.squares[kept.low]) / count
    shift = (centre - r.origin).astype(jnp.float64)
    return first - shift, second - 2 * shift * first + shift**2


def mean(r: Ranked, kept: Interval) -> Float[Array, ""]:
    """Mean of an interval."""
    return r.origin + _moments(r, kept, r.origin)[0]


def deviation(r: Ranked, kept: Interval) -> Float[Array, ""]:
    """Standard deviation of an interval."""
    first, second = _moments(r, kept, median(r, kept))
    return jnp.sqrt(jnp.maximum(second - first**2, 0))


def clip(r: Ranked, kept: Interval) -> Interval:
    """What is left of an interval after clipping at SIGMA about the median."""

    def once(_: int, kept: Interval) -> Interval:
        centre, reach = median(r, kept), SIGMA * deviation(r, kept)
        new = between(r, kept, centre - reach, centre + reach)
        empty = new.high <= new.low
        return Interval(*(jnp.where(empty, old, n) for old, n in zip(kept, new, strict=True)))

    return jax.lax.fori_loop(0, ROUNDS, once, kept)


def lower_half_spread(r: Ranked, kept: Interval, centre: Float[Array, ""]) -> Float[Array, ""]:
    """Standard deviation of the values below a centre and their mirror images, clipped at SIGMA."""
    below = between(r, kept, jnp.full((), -jnp.inf), centre)

    def spread(kept: Interval) -> Float[Array, ""]:
        return jnp.sqrt(jnp.maximum(_moments(r, kept, centre)[1], 0))

    def clip(_: int, kept: Interval) -> Interval:
        return between(r, kept, centre - SIGMA * spread(kept), centre)

    return spread(jax.lax.fori_loop(0, ROUNDS, clip, below))


def background(
    r: Ranked, kept: Interval, sigma_lower: float | Array, sigma_upper: float | Array, lower_half: bool
) -> Interval:
    """Those of an interval that are neither signal nor bad: within so many standard deviations of the median.

    With `lower_half` the deviation is that of the values below the median, which light does not widen.
    """
    left = clip(r, kept)
    centre = median(r, left)
    spread = lower_half_spread(r, kept, centre) if lower_half else deviation(r, left)
    return between(r, kept, centre - sigma_lower * spread, centre + sigma_upper * spread)


def admitted(image: Float[Array, "y x"], r: Ranked, kept: Interval) -> Bool[Array, "y x"]:
    """Pixels whose values lie in an interval."""
    last = len(r.values) - 1
    low, high = r.values[jnp.clip(kept.low, 0, last)], r.values[jnp.clip(kept.high - 1, 0, last)]
    return (image >= low) & (image <= high) & (kept.high > kept.low)
