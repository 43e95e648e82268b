"""Pixel response: acts on the rate, before the electrons are counted."""

from dataclasses import replace

from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Illumination


class Flat(Effect):
    """rate * flat."""

    name = "flat"

    def mean(self, state: Illumination, refs, params) -> Illumination:
        """Multiply by the flat (no unit)."""
        return replace(state, rate=state.rate * refs.flat)
