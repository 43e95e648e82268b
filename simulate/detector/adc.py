"""The converter: whole numbers between 0 and 65535, frame by frame."""

from dataclasses import replace

import jax.numpy as jnp

from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Charge, Frames

CEILING_DN = 65535.0


def convert(charge: Charge, refs) -> Frames:
    """Electrons to DN: divide by the gain (no rounding)."""
    return Frames(charge.electrons / refs.gain, charge.integration, charge.memory)


class Adc(Effect):
    """Round and clip. The mean neither rounds nor clips: it is what the draws average to below the ceiling."""

    name = "adc"
    random = True

    def draw(self, key, state: Frames, refs, params) -> tuple[Frames, dict]:
        """clip(round(DN), 0, 65535)."""
        return replace(state, dn=jnp.clip(jnp.round(state.dn), 0, CEILING_DN)), {}

    def covariance(self, state: Frames, refs, params, i, j):
        """Add 1/12 DN^2 to each read for the rounding."""
        return jnp.where(i == j, 1 / 12, 0.0)
