"""Leave out MIRI's first group, which the reset disturbs."""

import equinox as eqx
import jax.numpy as jnp

from uptheramp.calibrate import flags
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step

FEWEST_GROUPS = 4


class FirstframeParams(eqx.Module):
    """`bright_use_group1`: keep the first group of pixels that saturate by the third."""

    bright_use_group1: bool = eqx.field(static=True, default=True)


@step(cite="jwst 3.0.0 firstframe")
def firstframe(state: Ramps, refs: None, params: FirstframeParams) -> tuple[Ramps, None]:
    """Flag the first group DO_NOT_USE, where there are more than three; pixels that keep it are FLUX_ESTIMATED."""
    if state.readout.ngroups < FEWEST_GROUPS:
        return state, None
    kept = (state.groupdq[:, 2] & flags.SATURATED) != 0 if params.bright_use_group1 else jnp.zeros((), bool)
    first = state.groupdq[:, 0] | jnp.where(kept, 0, flags.DO_NOT_USE).astype(jnp.uint8)
    estimated = jnp.where(kept, flags.FLUX_ESTIMATED, 0).astype(jnp.uint32)
    pixeldq = state.pixeldq | (estimated.max(0) if params.bright_use_group1 else estimated)
    groupdq = jnp.asarray(state.groupdq).at[:, 0].set(first)
    return eqx.tree_at(lambda s: (s.groupdq, s.pixeldq), state, (groupdq, pixeldq)), None
