"""Make the ramps linear."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp

from uptheramp.calibrate import flags
from uptheramp.calibrate.kernels.polynomial import horner
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.calibrate.stage1 import zeroframe
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
    first = zeroframe.corrected(state.zeroframe, lambda frame: horner(refs.linearity.coeffs, frame))
    return replace(state, data=data, pixeldq=state.pixeldq | refs.linearity.dq, zeroframe=first), None
