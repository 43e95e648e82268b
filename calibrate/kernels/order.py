"""Order statistics along the leading axis, of the samples that a mask admits.

Few planes go through a sorting network of whole-plane minima and maxima; many through a bisection on the bit patterns
of the floats, which is exact, compiles to one small loop, and reads a block of pixels once per bit (`jnp.sort` along a
leading axis is some 60 times slower on a CPU). Both let gradients pass to the samples that were selected.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt

from uptheramp.calibrate.kernels import planes

NETWORK_PLANES = 12


def median(x: Float[Array, "n ..."], valid: Bool[Array, "n ..."]) -> Float[Array, "..."]:
    """Median of the valid samples, the mean of the middle two for even counts; NaN where there is none."""
    count = planes.count(valid)
    if x.shape[0] <= NETWORK_PLANES:
        low, high = _middle_ranks(count)
        ranked = _network(list(jnp.where(valid, x, jnp.inf)))
        middle = 0.5 * (_pick(ranked, low) + _pick(ranked, high))
    else:
        keys = planes.in_blocks(_middle_keys, x, valid)
        middle = 0.5 * (_sample(x, valid, keys[0]) + _sample(x, valid, keys[1]))
    return jnp.where(count > 0, middle, jnp.nan)


def median_within(
    x: Float[Array, "n ..."], valid: Bool[Array, "n ..."], low: Float[Array, "..."], high: Float[Array, "..."]
) -> Bool[Array, "..."]:
    """Whether there is a median and both middle samples lie between the bounds; counting tells without finding them."""

    def add(counts: Any, each: Float[Array, "..."], good: Bool[Array, "..."]) -> Any:
        return counts[0] + good, counts[1] + (good & (each <= low)), counts[2] + (good & (each < high))

    zero = jnp.zeros(x.shape[1:], jnp.int32)
    count, not_above, below = planes.fold(add, (zero, zero, zero), x, valid)
    first, last = _middle_ranks(count)
    return (count > 0) & (not_above <= first) & (below > last)


def _network(x: list[Float[Array, "..."]]) -> list[Float[Array, "..."]]:
    """Odd-even transposition: n rounds of neighbour exchanges sort n planes."""
    x = list(x)
    for turn in range(len(x)):
        for i in range(turn % 2, len(x) - 1, 2):
            x[i], x[i + 1] = jnp.minimum(x[i], x[i + 1]), jnp.maximum(x[i], x[i + 1])
    return x


def _pick(ranked: list[Float[Array, "..."]], rank: Int[Array, "..."]) -> Float[Array, "..."]:
    total = jnp.zeros_like(ranked[0])
    for i, plane in enumerate(ranked):
        total = total + jnp.where(rank == i, plane, 0)
    return total


def _keys(x: Float[Array, "n ..."], valid: Bool[Array, "n ..."]) -> UInt[Array, "n ..."]:
    """Unsigned integers in the order of the floats; what is not valid comes last."""
    dtype = jnp.uint32 if x.dtype == jnp.float32 else jnp.uint64
    sign = jnp.asarray(1, dtype) << (jnp.iinfo(dtype).bits - 1)
    bits = jax.lax.bitcast_convert_type(jax.lax.stop_gradient(x), dtype)
    return jnp.where(valid, jnp.where(bits & sign, ~bits, bits | sign), _last(dtype))


def _last(dtype: Any) -> UInt[Array, ""]:
    """The key that comes after all others."""
    return ~jnp.zeros((), dtype)


def _middle_ranks(count: Int[Array, "..."]) -> tuple[Int[Array, "..."], Int[Array, "..."]]:
    """Ranks of the middle two of so many samples, equal where the count is odd; 0 where there are none."""
    last = jnp.maximum(count - 1, 0)
    return last // 2, jnp.minimum(count // 2, last)


def _middle_keys(x: Float[Array, "n pixel"], valid: Bool[Array, "n pixel"]) -> UInt[Array, "2 pixel"]:
    """Keys of the two middle samples (of the one middle sample, twice)."""
    keys = _keys(x, valid)
    low, high = _middle_ranks(planes.count(valid))
    first = _bound(keys, low)
    last = _last(keys.dtype)
    if keys[0].size < planes.WIDE:
        reached, after = (keys <= first).sum(0, dtype=jnp.int32), jnp.where(keys > first, keys, last).min(0)
    else:
        start = jnp.zeros_like(low), jnp.full_like(first, last)
        reached, after = planes.fold(
            lambda s, key: (s[0] + (key <= first), jnp.minimum(s[1], jnp.where(key > first, key, last))), start, keys
        )
    return jnp.stack([first, jnp.where(reached > high, first, after)])


def _bound(keys: UInt[Array, "n ..."], rank: Int[Array, "..."]) -> UInt[Array, "..."]:
    """The key of the given rank: the largest bound below which at most `rank` keys lie, found bit by bit."""
    bits = jnp.iinfo(keys.dtype).bits

    def below(trial: UInt[Array, "..."]) -> Int[Array, "..."]:
        if trial.size < planes.WIDE:
            return (keys < trial).sum(0, dtype=jnp.int32)
        return planes.fold(lambda s, key: s + (key < trial), jnp.zeros(trial.shape, jnp.int32), keys)

    def refine(step: Int[Array, ""], bound: UInt[Array, "..."]) -> UInt[Array, "..."]:
        trial = bound | (jnp.asarray(1, keys.dtype) << (bits - 1 - step).astype(keys.dtype))
        return jnp.where(below(trial) <= rank, trial, bound)

    return jax.lax.fori_loop(0, bits, refine, jnp.zeros(keys.shape[1:], keys.dtype))


def _sample(x: Float[Array, "n ..."], valid: Bool[Array, "n ..."], key: UInt[Array, "..."]) -> Float[Array, "..."]:
    """The valid sample with this key; equal ones share it."""

    def add(carry: Any, each: Float[Array, "..."], good: Bool[Array, "..."]) -> Any:
        chosen = _keys(each, good) == key
        return carry[0] + jnp.where(chosen, each, 0), carry[1] + chosen

    if key.size < planes.WIDE:
        chosen = _keys(x, valid) == key
        found, number = jnp.where(chosen, x, 0).sum(0), chosen.sum(0, dtype=jnp.int32)
    else:
        found, number = planes.fold(add, (jnp.zeros_like(x[0]), jnp.zeros(key.shape, jnp.int32)), x, valid)
    return found / jnp.maximum(number, 1).astype(x.dtype)
