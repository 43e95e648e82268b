"""Leave out MIRI's last group, which the reset of the next row pair pulls down."""

import equinox as eqx
import jax.numpy as jnp

from uptheramp.calibrate import flags
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step


@step(cite="jwst 3.0.0 lastframe")
def lastframe(state: Ramps, refs: None, params: None) -> tuple[Ramps, None]:
    """Flag the last group DO_NOT_USE, where there are more than two."""
    if state.readout.ngroups <= 2:
        return state, None
    groupdq = jnp.asarray(state.groupdq).at[:, -1].set(state.groupdq[:, -1] | flags.DO_NOT_USE)
    return eqx.tree_at(lambda s: s.groupdq, state, groupdq), None
