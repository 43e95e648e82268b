"""The well holds no more."""

import jax.numpy as jnp

from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Charge


class Saturation(Effect):
    """Charge clipped at the full well; nothing spills."""

    name = "saturation"

    def mean(self, state: Charge, refs, params) -> Charge:
        """min(Q, well)."""
        return Charge(jnp.minimum(state.electrons, refs.well_e), state.integration)
