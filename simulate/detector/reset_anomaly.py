"""Reset anomaly of the Si:As arrays: the first groups lie off the line, by an amount that fades with the read."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from uptheramp.calibrate.instruments.core import Detector
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Frames

AMPLITUDE_DN = {"H2RG": 0.0, "SiAs": -20.0}  # at the first read; guess
SCATTER = 0.2  # pixel to pixel; guess
DECAY_READS = 4.0  # gone by about the 15th read


def amplitude(detector: Detector, unit: np.ndarray) -> np.ndarray:
    """Amplitude at the first read, DN, for unit normals that scatter it."""
    return AMPLITUDE_DN[detector.kind] * (1 + SCATTER * unit)


class ResetAnomaly(Effect):
    """An additive decay from the reset, by read number, the same in all integrations."""

    name = "reset_anomaly"

    def mean(self, state: Frames, refs, params) -> Frames:
        """Add amplitude * exp(-read / decay), DN."""
        decay = jnp.asarray(np.exp(-np.arange(state.dn.shape[0]) / DECAY_READS), state.dn.dtype)
        return replace(state, dn=state.dn + decay[:, None, None] * refs.anomaly_dn)
