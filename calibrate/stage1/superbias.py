"""Remove each pixel's bias level."""

import equinox as eqx
import jax.numpy as jnp

from uptheramp.calibrate.references.superbias import Superbias
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step


class SuperbiasRefs(eqx.Module):
    """What superbias takes from the library."""

    superbias: Superbias


@step(cite="jwst 3.0.0 superbias")
def superbias(state: Ramps, refs: SuperbiasRefs, params: None) -> tuple[Ramps, None]:
    """Subtract the superbias (DN) from every group: `data - superbias`; its flags join the pixel flags."""
    data = state.data - refs.superbias.data
    pixeldq = state.pixeldq | refs.superbias.dq
    return eqx.tree_at(lambda s: (s.data, s.pixeldq), state, (data, jnp.asarray(pixeldq))), None
