"""Make the ramps linear."""

import equinox as eqx
import jax.numpy as jnp

from uptheramp.calibrate import flags
from uptheramp.calibrate.kernels.polynomial import horner
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step


class LinearityRefs(eqx.Module):
    """What linearity takes from the library."""

    linearity: Linearity


@step(cite="jwst 3.0.0 linearity")
def linearity(state: Ramps, refs: LinearityRefs, params: None) -> tuple[Ramps, None]:
    """Replace each group that is not saturated by `sum_n coeffs[n] data^n` (DN)."""
    keep = (state.groupdq & flags.SATURATED) != 0
    safe = jnp.where(keep, 0, state.data)
    data = jnp.where(keep, state.data, horner(refs.linearity.coeffs, safe))
    pixeldq = state.pixeldq | refs.linearity.dq
    return eqx.tree_at(lambda s: (s.data, s.pixeldq), state, (data, pixeldq)), None
