"""Reset anomaly of the Si:As arrays: the first groups lie off the line, by an amount that fades with the read."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Frames


class Anomaly(eqx.Module):
    """Size at the first read, of the first and of later integrations, times each pixel's factor."""

    amplitude_dn: Float[Array, "2"]
    factor: Float[Array, "y x"]
    decay_reads: Float[Array, ""]

    def __call__(self, read: Float[Array, "*n"], integration: Array) -> Float[Array, "*n y x"]:
        """Anomaly (DN) at reads counted from 0."""
        size = self.amplitude_dn[jnp.minimum(integration, 1)] * jnp.exp(-read / self.decay_reads)
        return size[..., None, None] * self.factor


class ResetAnomaly(Effect):
    """An additive decay from the reset, by read number; the first integration's differs from all others'."""

    name = "reset_anomaly"

    def constants(self, observation, maps, rng) -> Anomaly:
        """Return the table's sizes and each pixel's factor (0 in reference pixels)."""
        table = self.table(observation.detector)
        factor = (1 + table.pixel_scatter * rng.standard_normal(observation.shape)) * maps.light
        values = (table.first_dn, table.later_dn), factor, table.decay_reads
        return Anomaly(*(np.asarray(v, np.float32) for v in values))

    def mean(self, state: Frames, refs, params) -> Frames:
        """Add amplitude * factor * exp(-read / decay), DN."""
        read = jnp.arange(state.dn.shape[0], dtype=state.dn.dtype)
        return replace(state, dn=state.dn + params.own(read, state.integration))
