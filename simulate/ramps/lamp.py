"""Flats and darks: the sensor of an observation under an even lamp, or none, instead of the sky."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps import render
from uptheramp.simulate.ramps.render import Constants


class Lamp(eqx.Module):
    """Constant light that no optics shape; it stands where an order of a star does."""

    rate: Float[Array, "y x"]  # e-/s on a pixel of flat 1

    def light(self, start_s: Float[Array, "frame"], frame_time_s, pointing) -> tuple[Array, Array]:
        """Rate in each frame, e-/s; a lamp has no spectrum, so its elements are one, at its mean."""
        frames = start_s.shape[0]
        return jnp.broadcast_to(self.rate, (frames, *self.rate.shape)), jnp.full((frames, 1), self.rate.mean())


def build(observation: Observation, rate_e_per_s: float | Float[np.ndarray, "y x"]) -> Constants:
    """Constants of the observation's sensor and clock under a lamp of this rate; 0 is dark."""
    rate = np.broadcast_to(np.asarray(rate_e_per_s, np.float32), observation.shape)
    return render.lit(observation, (Lamp(np.ascontiguousarray(rate)),), (), np.zeros(observation.shape, np.float32))


def rate_to_fill(observation: Observation, fill: float) -> float:
    """Rate (e-/s) that fills a pixel of flat 1 to the given part of the well at the last read."""
    o = observation
    return fill * o.detector.full_well_e / (o.reads_per_integration * o.subarray.frame_time_s)
