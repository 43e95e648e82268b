"""Electrons that come without light."""

from dataclasses import replace

from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Illumination


class Dark(Effect):
    """rate + dark."""

    name = "dark"

    def mean(self, state: Illumination, refs, params) -> Illumination:
        """Add the dark current, e-/s."""
        return replace(state, rate=state.rate + refs.dark_e_per_s)
