"""Outliers by their distance in standard deviations, and means that leave them out."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels import order, planes

MAX_ROUNDS = 50
MARGIN, ROUNDING = 1e-3, 1e-6  # relative: of bounds, and of samples, by which quiet ones must be within


def clipped_mean(
    x: Float[Array, "... n"], valid: Bool[Array, "... n"], threshold: float
) -> tuple[Float[Array, "..."], Bool[Array, "..."]]:
    """Mean over the last axis after removing, until nothing changes, what lies beyond `threshold` standard deviations.

    Returns the mean (0 where nothing is valid) and whether there was anything valid. Which samples are kept is a
    decision: gradients pass through the mean of the kept ones.
    """
    fixed = jax.lax.stop_gradient(x)

    def moments(keep: Bool[Array, "... n"]) -> tuple[Float[Array, "... 1"], Float[Array, "... 1"]]:
        n = jnp.maximum(keep.sum(-1, keepdims=True), 1).astype(x.dtype)
        mean = jnp.where(keep, fixed, 0).sum(-1, keepdims=True) / n
        return mean, jnp.sqrt(jnp.where(keep, (fixed - mean) ** 2, 0).sum(-1, keepdims=True) / n)

    def clip(carry):
        keep, _, turn = carry
        mean, deviation = moments(keep)
        # a constant sample has no outliers, whatever the rounding of its mean
        new = keep & ((jnp.abs(fixed - mean) <= threshold * deviation) | (deviation == 0))
        return new, (new != keep).any(), turn + 1

    keep, _, _ = jax.lax.while_loop(lambda c: c[1] & (c[2] < MAX_ROUNDS), clip, (valid, jnp.asarray(True), 0))
    count = keep.sum(-1)
    return jnp.where(keep, x, 0).sum(-1) / jnp.maximum(count, 1).astype(x.dtype), count > 0


def outliers(
    x: Float[Array, "n ..."], valid: Bool[Array, "n ..."], threshold: Float[Array, ""], rounds: int
) -> Bool[Array, "n ..."]:
    """Valid samples farther than `threshold` standard deviations from the median along the leading axis.

    Both are taken of what the round before has left, at most `rounds` times; the last bounds judge all samples.
    """

    def deviation(x: Float[Array, "n pixel"], kept: Bool[Array, "n pixel"]) -> Float[Array, "pixel"]:
        count = jnp.maximum(planes.count(kept), 1).astype(x.dtype)
        mean = planes.total(x, kept) / count
        return jnp.sqrt(planes.total((x - mean) ** 2, kept) / count)

    def suspect(x: Float[Array, "n pixel"], valid: Bool[Array, "n pixel"]) -> Bool[Array, "pixel"]:
        """Whether the first bounds may leave something out; where the median lies is told by counting."""
        top, bottom = planes.largest(x, valid), -planes.largest(-x, valid)
        reach = threshold * deviation(x, valid) * (1 - MARGIN) - ROUNDING * jnp.maximum(jnp.abs(top), jnp.abs(bottom))
        return planes.anywhere(valid) & ~order.median_within(x, valid, top - reach, bottom + reach)

    def clip(x: Float[Array, "n pixel"], valid: Bool[Array, "n pixel"]) -> Bool[Array, "n pixel"]:
        def look(carry):
            kept, _, turn, _ = carry
            beyond = valid & (jnp.abs(x - order.median(x, kept)) > threshold * deviation(x, kept))
            left = kept & ~beyond
            return left, beyond, turn + 1, (left != kept).any()

        start = valid, jnp.zeros_like(valid), 0, jnp.asarray(True)
        return jax.lax.while_loop(lambda c: c[3] & (c[2] < rounds), look, start)[1]

    return planes.where_any(clip, planes.in_blocks(suspect, x, valid), jnp.zeros_like(valid), x, valid)
