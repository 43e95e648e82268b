"""Crosstalk of amplifiers: what one output reads shows faintly in all others, at the same clock.

    out_a = in_a + c sum_{b != a} in_b

A ghost of the spectrum so appears in each stripe (NIRCam) or in the columns beside it (MIRI).
"""

from dataclasses import dataclass, replace

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from uptheramp.simulate.detector.outputs import Outputs
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Frames


@dataclass(frozen=True)
class CrosstalkSettings:
    """Factor on the table's coupling; it may be negative, as those of real amplifiers may."""

    scale: float = 1.0


class Coupling(eqx.Module):
    """Share of a signal that each other output shows."""

    share: Float[Array, ""]
    outputs: Outputs = eqx.field(static=True)


class Crosstalk(Effect):
    """Signal of the other outputs; nothing where one output reads everything."""

    name = "crosstalk"
    default = False  # its size is a guess
    settings = CrosstalkSettings

    def constants(self, observation, maps, rng) -> Coupling:
        """Return the coupling of the table, scaled."""
        scale = observation.settings_of(self.name).scale
        return Coupling(np.float32(self.table(observation.detector).share * scale), Outputs.of(observation))

    def mean(self, state: Frames, refs, params) -> Frames:
        """Add the signal of the other outputs."""
        own = params.own
        if own.outputs.count == 1:
            return state
        parts = own.outputs.split(state.dn)
        others = parts.sum(2, keepdims=True) - parts
        return replace(state, dn=own.outputs.join(parts + own.share * others))
