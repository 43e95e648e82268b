"""Light of the output amplifiers: a little charge at every read, most where lines are read first."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.kernels.readout import oriented
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Illumination


@dataclass(frozen=True)
class GlowSettings:
    """Electrons a read at the edge, and the lines over which they fall by e; no measured values are known: guesses."""

    e_per_read: float = 0.05
    scale_lines: float = 20.0

    def __post_init__(self):
        if self.e_per_read < 0 or self.scale_lines <= 0:
            raise ValueError("e_per_read must not be negative, scale_lines must be positive")


class Glow(Effect):
    """Charge that comes with each read and not with time (Regan & Bergeron 2020): longer frames dilute it."""

    name = "glow"
    default = False
    settings = GlowSettings

    def constants(self, observation, maps, rng) -> Float[np.ndarray, "y x"]:
        """Return the electrons of a read."""
        knobs, readout = observation.settings_of(self.name), observation.readout
        image = np.zeros(observation.shape, np.float32)
        lines = oriented(image, readout.fast_axis, readout.slow_axis)  # a view in the order of reading
        lines[:] = knobs.e_per_read * np.exp(-np.arange(len(lines)) / knobs.scale_lines)[:, None]
        return image

    def mean(self, state: Illumination, refs, params) -> Illumination:
        """Add the charge of a read, e-/s over the frame."""
        return replace(state, rate=state.rate + params.own / params.frame_time_s.astype(state.rate.dtype))
