"""Pixel response: acts on the rate, before the electrons are counted."""

from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Illumination


class Flat(Effect):
    """rate * flat."""

    name = "flat"

    def mean(self, state: Illumination, refs, params) -> Illumination:
        """Multiply by the flat (no unit)."""
        return Illumination(state.rate * refs.flat, state.integration)
