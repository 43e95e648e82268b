"""Leave out groups so full that charge has moved to their neighbours."""

import equinox as eqx
import jax
import jax.numpy as jnp

from uptheramp.calibrate import flags
from uptheramp.calibrate.kernels import grow
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step

FEWEST_GROUPS = 3


class ChargeMigrationParams(eqx.Module):
    """`signal_threshold`: signal (DN) above which charge moves."""

    signal_threshold: float | jax.Array = 25000.0


@step(cite="Goudfrooij et al. 2024, PASP 136, 014503; jwst 3.0.0 charge_migration")
def charge_migration(state: Ramps, refs: None, params: ChargeMigrationParams) -> tuple[Ramps, None]:
    """Flag CHARGELOSS | DO_NOT_USE the groups above the threshold, all later ones, and those of the four neighbours.

    Groups whose only flag is DO_NOT_USE do not count. Ramps of one or two groups stay as they are.
    """
    if state.readout.ngroups < FEWEST_GROUPS:
        return state, None
    full = (state.data > params.signal_threshold) & (state.groupdq != flags.DO_NOT_USE)
    lost = grow.cross(jax.lax.associative_scan(jnp.logical_or, full, axis=1))
    groupdq = state.groupdq | jnp.where(lost, flags.CHARGELOSS | flags.DO_NOT_USE, 0).astype(jnp.uint8)
    return eqx.tree_at(lambda s: s.groupdq, state, groupdq), None
