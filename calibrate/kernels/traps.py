"""Charge traps that fill and empty by first-order laws."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Family(NamedTuple):
    """Laws of one or more families: rates in 1/s, positive; charges in the unit of the signal."""

    held: Float[Array, "family 1 1"]  # taken by a pixel that stays full, in the end
    filling: Float[Array, "family 1 1"]
    at_once: Float[Array, "family 1 1"]
    emptying: Float[Array, "family 1 1"]


def after(
    trapped: Float[Array, "family y x"],
    before: Float[Array, "y x"],
    now: Float[Array, "y x"],
    time_s: Float[Array, ""],
    law: Family,
) -> Float[Array, "family y x"]:
    """Trapped charge after `time_s`, in which the filling of the pixel (0 to 1) went steadily from `before` to `now`.

    `dn/dt = held filling q(t) + at_once dq/dt - emptying n`, solved exactly.
    """
    x = law.emptying * time_s  # few parts in 1e5: in float64, because of what cancels
    left = jnp.exp(-x)
    mean = jnp.where(x > 0, -jnp.expm1(-x) / jnp.where(x > 0, x, 1), 1.0)  # of exp(-emptying t)
    taken = law.held * law.filling / law.emptying
    still, moving = taken * -jnp.expm1(-x), taken * (1 - mean) + law.at_once * mean
    left, still, moving = (factor.astype(trapped.dtype) for factor in (left, still, moving))
    return trapped * left + still * before + moving * (now - before)
