"""Pixels that are read like the others but see neither light nor dark current."""

from dataclasses import replace

from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Illumination


class ReferencePixels(Effect):
    """rate = 0 in reference pixels; their own noise is in the detector's read-noise map."""

    name = "reference_pixels"

    def mean(self, state: Illumination, refs, params) -> Illumination:
        """Multiply by 1 where there is a photosensitive pixel, 0 where there is none."""
        return replace(state, rate=state.rate * refs.light)
