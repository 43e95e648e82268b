"""White noise of the amplifier chain, drawn afresh at every read."""

from dataclasses import replace

import jax.numpy as jnp

from uptheramp.simulate.effect import Effect, normals
from uptheramp.simulate.state import Frames


class ReadNoise(Effect):
    """Independent normal noise of `read_noise_e` (one read) in every pixel and frame."""

    name = "read_noise"
    random = True

    def draw(self, key, state: Frames, refs, params) -> tuple[Frames, dict]:
        """Add sigma / gain times unit normals, DN."""
        noise = params.mirror * normals(key, state.dn.shape) * (refs.read_noise_e / refs.gain)
        return replace(state, dn=state.dn + noise), {}

    def covariance(self, state: Frames, refs, params, i, j):
        """(sigma / gain)^2 in each read, nothing between two, DN^2."""
        return jnp.where(i == j, (refs.read_noise_e / refs.gain) ** 2, 0.0)
