"""The level at which a pixel starts: its fixed bias, and the noise of each reset."""

from dataclasses import replace

import jax
import jax.numpy as jnp

from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Frames


class Superbias(Effect):
    """The fixed bias (near IR) or pedestal (MIRI) of each pixel."""

    name = "superbias"

    def mean(self, state: Frames, refs, params) -> Frames:
        """Add the bias, DN."""
        return replace(state, dn=state.dn + refs.bias_dn)


class Ktc(Effect):
    """Thermal noise of the reset: one level for a pixel and an integration, sigma = sqrt(k T C) / q."""

    name = "ktc"
    random = True

    def draw(self, key, state: Frames, refs, params) -> tuple[Frames, dict]:
        """Add ktc_e / gain times a unit normal to all reads of the integration."""
        unit = params.mirror * jax.random.normal(key, state.dn.shape[1:], jnp.float32)
        level = unit * refs.ktc_e / refs.gain
        return replace(state, dn=state.dn + level), {}

    def covariance(self, state: Frames, refs, params, i, j):
        """(ktc / gain)^2 between any two reads: all share one level, so differences have none of it, DN^2."""
        return (refs.ktc_e / refs.gain) ** 2
