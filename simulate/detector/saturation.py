"""The well holds no more."""

from dataclasses import replace

import jax.numpy as jnp

from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Charge


class Saturation(Effect):
    """Charge clipped at the full well; nothing spills."""

    name = "saturation"

    def mean(self, state: Charge, refs, params) -> Charge:
        """min(Q, well)."""
        return replace(state, electrons=jnp.minimum(state.electrons, refs.well_e))
