"""Response drift of the Si:As arrays: pixels under new light approach their full response exponentially.

    ds/dt lost = A(s) exp(-t / tau(s)),    A = sum_n c_n s^n,    tau = d_0 exp(-d_1 s) + d_2    (DN/s, s)

s is the rate of the pixel, t the time since the light came on. The law was fitted between two rates; below the lower
one A falls in proportion to s, above the upper one the value there holds.
"""

from dataclasses import dataclass, replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Illumination


@dataclass(frozen=True)
class ResponseDriftSettings:
    """Factor on the table's amplitude, and for how long the pixels had seen their light when the exposure began."""

    amplitude: float = 1.0
    elapsed_s: float = 0.0

    def __post_init__(self):
        if min(self.amplitude, self.elapsed_s) < 0:
            raise ValueError("amplitude and elapsed_s must not be negative")


class Drift(eqx.Module):
    """Coefficients of the law."""

    amplitude: Float[Array, "3"]
    decay: Float[Array, "3"]
    valid_dn_per_s: Float[Array, "2"]
    elapsed_s: Float[Array, ""]

    def __call__(self, rate: Float[Array, "..."], time_s: Float[Array, "..."]) -> Float[Array, "..."]:
        """Change of a rate (DN/s, negative for a loss) at a time since the light came on."""
        low, high = self.valid_dn_per_s
        s = jnp.clip(rate, low, high)
        a, d = self.amplitude, self.decay
        size = (a[0] + s * (a[1] + s * a[2])) * jnp.clip(rate / low, 0, 1)
        return size * jnp.exp(-time_s / (d[0] * jnp.exp(-d[1] * s) + d[2]))


class ResponseDrift(Effect):
    """Rate (e-/s) with the drift of the response."""

    name = "response_drift"
    default = False  # the only coefficients were measured before launch and exceed what is seen in flight
    settings = ResponseDriftSettings

    def constants(self, observation, maps, rng) -> Drift:
        """Return the table's law with the amplitude scaled."""
        table, knobs = self.table(observation.detector), observation.settings_of(self.name)
        amplitude = np.asarray(table.amplitude) * knobs.amplitude
        values = amplitude, table.decay, table.valid_dn_per_s, knobs.elapsed_s
        return Drift(*(np.asarray(v, np.float32) for v in values))

    def mean(self, state: Illumination, refs, params) -> Illumination:
        """Add gain * change(rate / gain, time in the middle of each frame), e-/s."""
        middle = jnp.arange(state.rate.shape[0]) + 0.5
        time_s = params.own.elapsed_s + state.integration * params.cadence_s + middle * params.frame_time_s
        time_s = time_s.astype(state.rate.dtype)[:, None, None]
        return replace(state, rate=state.rate + refs.gain * params.own(state.rate / refs.gain, time_s))
