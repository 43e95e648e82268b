"""The two-point difference test: group differences that stand out from the median difference of their pixel.

Differences are of charges in electrons; `noise_variance` is that of a difference without photons (the square of the CDS
read noise over the frames averaged). Source: Anderson & Gordon 2011, PASP 123, 1237, as in jwst 3.0.0 (stcal 1.20.0).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from uptheramp.calibrate.kernels import order, planes

MARGIN, ROUNDING = 1e-3, 1e-6  # relative: of the threshold, and of charges, by which a quiet pixel must be quieter


class Thresholds(NamedTuple):
    """In standard deviations: for four or more, three, and two usable differences."""

    four: Float[Array, ""]
    three: Float[Array, ""]
    two: Float[Array, ""]


def sigma(level: Float[Array, "..."], noise_variance: Float[Array, "..."]) -> Float[Array, "..."]:
    """Standard deviation of a difference of the given expectation."""
    return jnp.sqrt(jnp.abs(level) + noise_variance)


def ratio(
    difference: Float[Array, "..."], level: Float[Array, "..."], noise_variance: Float[Array, "..."]
) -> Float[Array, "..."]:
    """|difference - level| / sigma; 0 where there is no noise to compare with."""
    s = sigma(level, noise_variance)
    known = s > 0
    return jnp.where(known, jnp.abs(difference - level) / jnp.where(known, s, 1), 0)


def exceeds(
    difference: Float[Array, "..."],
    level: Float[Array, "..."],
    noise_variance: Float[Array, "..."],
    limit_squared: Float[Array, "..."],
) -> Bool[Array, "..."]:
    """Whether `ratio` is above a limit that is not negative, told by squares: neither root nor quotient is taken."""
    variance = jnp.abs(level) + noise_variance
    return (variance > 0) & ((difference - level) ** 2 > limit_squared * variance)


def quiet_levels(
    lowest: Float[Array, "..."],
    highest: Float[Array, "..."],
    noise_variance: Float[Array, "..."],
    limit: Float[Array, ""],
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Bounds of the level between which no difference from `lowest` to `highest` has a ratio of `limit`.

    With sigma = sqrt(level + v), u = sigma solves highest - level = limit u and level - lowest = limit u, two quadratic
    equations. Below 0 the least sigma, sqrt(v), is taken. Both bounds are drawn in by more than rounding can do.
    """
    limit = limit * (1 - MARGIN)
    least = limit * jnp.sqrt(noise_variance)

    def level(extreme: Array, sign: int) -> Array:
        root = jnp.sqrt(jnp.maximum(limit**2 + 4 * (extreme + noise_variance), 0))
        return (0.5 * (root + sign * limit)) ** 2 - noise_variance

    low = jnp.where(highest > least, level(highest, -1), highest - least)
    high = jnp.where(lowest > -least, level(lowest, 1), -jnp.inf)
    rounding = ROUNDING * (jnp.maximum(jnp.abs(highest), jnp.abs(lowest)) + noise_variance)
    return low + rounding, high - rounding


def levels(
    difference: Float[Array, "integration n y x"], valid: Bool[Array, "integration n y x"], wanted: Bool[Array, "y x"]
) -> Float[Array, "y x"]:
    """Median of all valid differences of the wanted pixels, 0 elsewhere."""
    all_of = (x.reshape(-1, *x.shape[2:]) for x in (difference, valid))
    nothing = jnp.zeros_like(difference[0, :1])
    return planes.where_any(lambda *given: order.median(*given)[None], wanted, nothing, *all_of)[0]


def at_once(
    difference: Float[Array, "integration n y x"],
    valid: Bool[Array, "integration n y x"],
    noise_variance: Float[Array, "y x"],
    threshold: Float[Array, ""],
) -> Bool[Array, "integration n y x"]:
    """Flag all differences that stand out from the median of all."""
    value, usable = (x.reshape(-1, *x.shape[2:]) for x in (difference, valid))

    def suspect(value: Float[Array, "n pixel"], usable: Bool[Array, "n pixel"], noise: Float[Array, "1 pixel"]):
        extremes = -planes.largest(-value, usable), planes.largest(value, usable)
        inside = order.median_within(value, usable, *quiet_levels(*extremes, noise[0], threshold))
        return planes.anywhere(usable) & ~inside

    def outliers(value: Float[Array, "n pixel"], usable: Bool[Array, "n pixel"], noise: Float[Array, "1 pixel"]):
        return usable & (ratio(value, order.median(value, usable), noise) > threshold)

    given = value, usable, noise_variance[None]
    none = jnp.zeros_like(usable)
    return planes.where_any(outliers, planes.in_blocks(suspect, *given), none, *given).reshape(valid.shape)


def iterative(
    difference: Float[Array, "integration n y x"],
    valid: Bool[Array, "integration n y x"],
    noise_variance: Float[Array, "y x"],
    thresholds: Thresholds,
) -> Bool[Array, "integration n y x"]:
    """Flag the largest outlier of each pixel, take it out, look again, until none is left.

    The level is `robust_level` of the absolute differences of all integrations; what reaches the largest ratio of the
    pixel is flagged. The level of most pixels need not be found: that it lies where no difference can stand out is told
    by counting.
    """
    size, usable = (x.reshape(-1, *x.shape[2:]) for x in (jnp.abs(difference), valid))

    def look(size: Float[Array, "n pixel"], left: Bool[Array, "n pixel"], noise: Float[Array, "1 pixel"]):
        """What of `left` is an outlier."""
        level, count = robust_level(size, left)
        r = jnp.where(left & jnp.isfinite(level), ratio(size, level, noise), 0)
        top = planes.largest(r, left)
        limit = jnp.where(count >= 4, thresholds.four, jnp.where(count == 3, thresholds.three, thresholds.two))
        return left & (r == top) & ((top > limit) & (count >= 2))

    def suspect(size: Float[Array, "n pixel"], left: Bool[Array, "n pixel"], noise: Float[Array, "1 pixel"]):
        """Whether the pixel may have an outlier."""
        count, largest, lowest = planes.count(left), planes.largest(size, left), -planes.largest(-size, left)
        bounds = quiet_levels(lowest, largest, noise[0], thresholds.four)
        kept = without_largest(size, left, count, largest)
        return (count >= 2) & ~((count >= 4) & order.median_within(size, kept, *bounds))

    def settled(size: Float[Array, "n pixel"], left: Bool[Array, "n pixel"], noise: Float[Array, "1 pixel"]):
        """What is left once no pixel shows an outlier."""

        def turn(carry):
            left, new = carry
            left = left & ~new
            return left, look(size, left, noise) & planes.anywhere(new)

        return jax.lax.while_loop(lambda carry: carry[1].any(), turn, (left, look(size, left, noise)))[0]

    given = size, usable, noise_variance[None]
    left = planes.where_any(settled, planes.in_blocks(suspect, *given), usable, *given)
    return (usable & ~left).reshape(valid.shape)


def without_largest(
    size: Float[Array, "n ..."], valid: Bool[Array, "n ..."], count: Int[Array, "..."], largest: Float[Array, "..."]
) -> Bool[Array, "n ..."]:
    """The valid differences but the largest, which stays where there are fewer than four."""
    return valid & ~((count >= 4) & (size == largest))


def robust_level(
    size: Float[Array, "n ..."], valid: Bool[Array, "n ..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Median of the valid differences, and their number.

    With four or more the largest is left out; of two the smaller one is taken; fewer give NaN.
    """
    count = planes.count(valid)
    level = order.median(size, without_largest(size, valid, count, planes.largest(size, valid)))
    smallest = -planes.largest(-size, valid)
    level = jnp.where(count == 2, smallest, level)
    return jnp.where(count >= 2, level, jnp.nan), count
