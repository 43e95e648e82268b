"""Reset switch charge decay: part of the signal before a reset shows up after it, and fades within a few reads.

The law of the correction that the official pipeline applied before 2019, with the sign of what it removed:

    residue = S scale C^power (1 - exp(-C / turnover)) exp(-T / decay),    C = max(S - crossover, 0)

S is the signal of the last read before the reset (DN, bias removed), T the reads since then.
"""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.simulate.detector.rows import by_parity
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Frames


class Decay(eqx.Module):
    """Constants of the law; `gap_reads` from the last read of an integration to the first of the next."""

    scale: Float[Array, "y x"]  # 0 in reference pixels
    power: Float[Array, ""]
    turnover_dn: Float[Array, ""]
    crossover_dn: Float[Array, ""]
    decay_reads: Float[Array, ""]
    gap_reads: Float[Array, ""]

    def __call__(self, signal: Float[Array, "y x"], read: Float[Array, "*n"]) -> Float[Array, "*n y x"]:
        """Residue (DN) at reads counted from 0, of a signal (DN) at the last read before the reset."""
        counts = jnp.maximum(signal - self.crossover_dn, 0)
        seen = counts > 0  # the power has no finite derivative at zero
        size = signal * self.scale * jnp.where(seen, counts, 1) ** self.power * -jnp.expm1(-counts / self.turnover_dn)
        fading = jnp.exp(-(read + self.gap_reads) / self.decay_reads)
        return fading[..., None, None] * jnp.where(seen, size, 0)


class Rscd(Effect):
    """Adds the residue of the integration before."""

    name = "rscd"
    remembers = True

    def constants(self, observation, maps, rng) -> Decay:
        """Return the table's constants, by row."""
        table = self.table(observation.detector)
        scale = by_parity(observation, table.scale) * maps.light
        law = table.power, table.turnover_dn, table.crossover_dn, table.decay_reads
        gap_reads = observation.pattern.reset_frames + 1
        return Decay(*(np.asarray(v, np.float32) for v in (scale, *law, gap_reads)))

    def start(self, key, own: Decay) -> Float[Array, "y x"]:
        """No signal before the exposure."""
        return jnp.zeros_like(own.scale)

    def mean(self, state: Frames, refs, params) -> Frames:
        """Add the residue, DN; `memory` holds the signal at the last read."""
        read = jnp.arange(state.dn.shape[0], dtype=state.dn.dtype)
        dn = state.dn + params.own(state.memory[self.name], read)
        return replace(state, dn=dn, memory=state.memory | {self.name: dn[-1]})
