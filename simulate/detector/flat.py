"""Pixel response: acts on the rate, before the electrons are counted."""

from dataclasses import dataclass, replace

from uptheramp.calibrate.errors import InputError
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Illumination


@dataclass(frozen=True)
class FlatSettings:
    """`subpixel` is a of the response 1 - (a u)^2 inside a pixel (optics/subpixel.py), unknown in flight."""

    subpixel: float = 0.0  # 0.1 is where fits to NIRISS images began

    def __post_init__(self):
        if not 0 <= self.subpixel <= 1:
            raise InputError(f"flat.subpixel = {self.subpixel} is not in 0 to 1")


class Flat(Effect):
    """rate * flat; the response inside pixels is applied where images are made."""

    name = "flat"
    settings = FlatSettings

    def mean(self, state: Illumination, refs, params) -> Illumination:
        """Multiply by the flat (no unit)."""
        return replace(state, rate=state.rate * refs.flat)
