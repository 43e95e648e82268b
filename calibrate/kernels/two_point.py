"""The two-point difference test: group differences that stand out from the median difference of their pixel.

Differences are of charges in electrons; `noise_variance` is that of a difference without photons (the square of the CDS
read noise over the frames averaged). Source: Anderson & Gordon 2011, PASP 123, 1237, as in jwst 3.0.0 (stcal 1.20.0).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels import order, planes


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


def iterative(
    difference: Float[Array, "integration n y x"],
    valid: Bool[Array, "integration n y x"],
    noise_variance: Float[Array, "y x"],
    thresholds: Thresholds,
) -> Bool[Array, "integration n y x"]:
    """Flag the largest outlier of each pixel, take it out, look again, until none is left.

    The level is `robust_level` of the absolute differences of all integrations. In the turn in which a pixel shows an
    outlier, its largest ratio is flagged wherever it is reached in an integration that exceeds the threshold.
    """
    per_integration = difference.shape[:2]
    size, usable = (x.reshape(-1, *x.shape[2:]) for x in (jnp.abs(difference), valid))

    def look(size: Float[Array, "n pixel"], left: Bool[Array, "n pixel"], noise: Float[Array, "1 pixel"]):
        """What of `left` is an outlier."""
        level, count = robust_level(size, left)
        r = jnp.where(left & jnp.isfinite(level), ratio(size, level, noise), 0).reshape(*per_integration, -1)
        top = r.max(1)
        limit = jnp.where(count >= 4, thresholds.four, jnp.where(count == 3, thresholds.three, thresholds.two))
        hit = (top > limit) & (count >= 2)
        return left & ((r == r.max((0, 1))) & hit[:, None]).reshape(left.shape)

    def settled(size: Float[Array, "n pixel"], left: Bool[Array, "n pixel"], noise: Float[Array, "1 pixel"]):
        """What is left once no pixel shows an outlier."""

        def turn(carry):
            left, new = carry
            left = left & ~new
            return left, look(size, left, noise) & new.any(0)

        return jax.lax.while_loop(lambda c: c[1].any(), turn, (left, look(size, left, noise)))[0]

    found = planes.in_blocks(look, size, usable, noise_variance[None])
    left = usable & ~found
    return (usable & ~planes.where_any(settled, found.any(0), left, size, left, noise_variance[None])).reshape(
        valid.shape
    )


def robust_level(
    size: Float[Array, "n ..."], valid: Bool[Array, "n ..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Median of the valid differences, and their number.

    With four or more the largest is left out; of two the smaller one is taken; fewer give NaN.
    """
    count = planes.count(valid)
    kept = valid & ~((count >= 4) & (size == planes.largest(size, valid)))
    level = order.median(size, kept)
    smallest = -planes.largest(-size, valid)
    level = jnp.where(count == 2, smallest, level)
    return jnp.where(count >= 2, level, jnp.nan), count
