"""Integral non-linearity of the converter: its steps are not all of one height."""

from dataclasses import dataclass, replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Frames


@dataclass(frozen=True)
class InlSettings:
    """Factor on the table's amplitude."""

    amplitude: float = 1.0

    def __post_init__(self):
        if self.amplitude < 0:
            raise ValueError("amplitude must not be negative")


class Sinusoid(eqx.Module):
    """Amplitude and period, DN."""

    amplitude_dn: Float[Array, ""]
    period_dn: Float[Array, ""]


class Inl(Effect):
    """A sinusoid of the number itself, before it is rounded; the same for every pixel, reference pixels too."""

    name = "inl"
    settings = InlSettings

    def constants(self, observation, maps, rng) -> Sinusoid:
        """Return amplitude and period of the table."""
        table, knobs = self.table(observation.detector), observation.settings_of(self.name)
        return Sinusoid(np.float32(table.amplitude_dn * knobs.amplitude), np.float32(table.period_dn))

    def mean(self, state: Frames, refs, params) -> Frames:
        """Add A sin(2 pi DN / period), DN."""
        own = params.own
        return replace(state, dn=state.dn + own.amplitude_dn * jnp.sin(2 * jnp.pi * state.dn / own.period_dn))
