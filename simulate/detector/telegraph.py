"""Telegraph noise: a few pixels whose level jumps between two values and stays there for a while.

A two-state Markov process in continuous time (Machlup 1954, J. Appl. Phys. 25, 341): with mean stays u and d in the
upper and lower level, the upper one is occupied a share h = u / (u + d) of the time and correlations fade at the rate
1/u + 1/d. It is a voltage of the read-out, so reference pixels have it too; a pixel's mean level belongs to its bias.
"""

from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from uptheramp.simulate.effect import Effect, frame_keys
from uptheramp.simulate.state import Frames


@dataclass(frozen=True)
class TelegraphSettings:
    """Factors on the table's fraction of pixels and on the distance of the levels."""

    fraction: float = 1.0
    amplitude: float = 1.0

    def __post_init__(self):
        if min(self.fraction, self.amplitude) < 0:
            raise ValueError("fraction and amplitude must not be negative")


class Pixels(eqx.Module):
    """The pixels that jump: where, by how much, share of the time in the upper level, decay of correlations (1/s)."""

    y: Int[Array, "pixel"]
    x: Int[Array, "pixel"]
    amplitude_e: Float[Array, "pixel"]
    upper: Float[Array, "pixel"]
    rate_per_s: Float[Array, "pixel"]


class Telegraph(Effect):
    """Two-level noise whose state runs on through resets and segments."""

    name = "telegraph"
    random = True
    settings = TelegraphSettings

    def constants(self, observation, maps, rng) -> Pixels:
        """Choose the pixels, the same number for every sensor, and what each does."""
        table, knobs = self.table(observation.detector), observation.settings_of(self.name)
        height, width = observation.shape
        number = rng.permutation(height * width)[: round(table.fraction * knobs.fraction * height * width)]
        amplitude = np.exp(table.amplitude_scatter * rng.standard_normal(number.size))
        shortest, longest = np.log(table.dwell_s)
        dwell_s = np.exp(rng.uniform(shortest, longest, (2, number.size)))
        values = table.amplitude_e * knobs.amplitude * amplitude, dwell_s[0] / dwell_s.sum(0), (1 / dwell_s).sum(0)
        y, x = np.divmod(number.astype(np.int32), np.int32(width))
        return Pixels(y, x, *(np.asarray(v, np.float32) for v in values))

    def start(self, key, own: Pixels) -> Bool[Array, "pixel"]:
        """Return levels drawn from the stationary law."""
        return jax.random.uniform(key, own.upper.shape, jnp.float32) < own.upper

    def draw(self, key, state: Frames, refs, params) -> tuple[Frames, dict]:
        """Add amplitude * (level - its mean) / gain to each read; `memory` holds the level at the last one."""
        own, frames = params.own, state.dn.shape[0]
        between = params.cadence_s - (frames - 1) * params.frame_time_s  # last read to the next integration's first
        spans = jnp.where(jnp.arange(frames) > 0, params.frame_time_s, between)

        def read(level: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
            key, span = now
            stay = jnp.exp(-own.rate_per_s * span)
            u = jax.random.uniform(key, level.shape, jnp.float32)
            u = jnp.where(params.mirror < 0, 1 - u, u)
            level = u < own.upper + (level - own.upper) * stay
            return level, level

        last, levels = jax.lax.scan(read, state.memory[self.name], (frame_keys(key, frames), spans))
        step = own.amplitude_e * (levels - own.upper) / refs.gain[own.y, own.x]
        dn = state.dn.at[:, own.y, own.x].add(step.astype(state.dn.dtype))
        return replace(state, dn=dn, memory=state.memory | {self.name: last}), {}

    def covariance(self, state: Frames, refs, params, i, j):
        """A^2 h (1 - h) exp(-rate |t_i - t_j|) / gain^2 in the pixels that jump, DN^2."""
        own = params.own
        span = jnp.abs(i - j) * params.frame_time_s
        value = own.amplitude_e**2 * own.upper * (1 - own.upper) * jnp.exp(-own.rate_per_s * span)
        return jnp.zeros(state.dn.shape[1:]).at[own.y, own.x].set(value / refs.gain[own.y, own.x] ** 2)
