"""Differences of neighbouring groups, and which of them are free of flags."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8

from uptheramp.calibrate import flags
from uptheramp.calibrate.state import Ramps

LOST = flags.DO_NOT_USE | flags.SATURATED


def differences(state: Ramps) -> tuple[Float[Array, "integration n y x"], Bool[Array, "integration n y x"]]:
    """Differences of neighbouring groups (DN) and whether both groups can be used; NaN cannot."""
    bad = (state.groupdq & LOST) != 0
    difference = jnp.diff(state.data, axis=1)
    valid = ~(bad[:, 1:] | bad[:, :-1]) & jnp.isfinite(difference)
    return jnp.where(valid, difference, 0), valid


def usable_differences(state: Ramps) -> tuple[Float[Array, "integration n y x"], Bool[Array, "integration n y x"]]:
    """Differences of neighbouring groups (DN) free of flags: both groups good, no jump between them."""
    lost = (state.groupdq & LOST) != 0
    jumped = (state.groupdq & flags.JUMP_DET) != 0
    usable = ~(lost[:, 1:] | lost[:, :-1] | jumped[:, 1:])
    return jnp.where(usable, jnp.diff(state.data, axis=1), 0), usable


def difference_at(
    data: Float[Array, "*any group y x"], groupdq: UInt8[Array, "*any group y x"], later: Int[Array, ""]
) -> tuple[Float[Array, "*any y x"], Bool[Array, "*any y x"]]:
    """Difference of a group and the one before it (DN), and where it is free of flags; NaN is not.

    Flags are joined as bytes before they are asked, which is three times as fast as joining answers.
    """

    def group(x: Array, number: Int[Array, ""]) -> Array:
        return jax.lax.dynamic_index_in_dim(x, number, -3, keepdims=False)

    before = later - 1
    bad = (group(groupdq, later) | group(groupdq, before)) & LOST
    jumped = group(groupdq, later) & flags.JUMP_DET
    step = group(data, later) - group(data, before)
    return step, ((bad | jumped) == 0) & jnp.isfinite(step)
