"""Post-pixel coupling: the voltage of a pixel has not settled when the next one of its output is read.

    out_k = in_k + p (in_{k-1} - in_k)     along a line, in the order of reading

The first pixel of a line follows the overhead between lines, in which the output settles.
"""

from dataclasses import dataclass, replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.simulate.detector.outputs import Outputs
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Frames


@dataclass(frozen=True)
class PostPixelSettings:
    """Factor on the table's coupling."""

    scale: float = 1.0

    def __post_init__(self):
        if self.scale < 0:
            raise ValueError("scale must not be negative")


class Settling(eqx.Module):
    """Share of a pixel's signal that the next one still shows."""

    share: Float[Array, ""]
    outputs: Outputs = eqx.field(static=True)


class PostPixel(Effect):
    """Signal of the pixel read before."""

    name = "post_pixel"
    default = False  # the IPC reference of the calibration programme does not know it
    settings = PostPixelSettings

    def constants(self, observation, maps, rng) -> Settling:
        """Return the coupling of the table, scaled."""
        scale = observation.settings_of(self.name).scale
        return Settling(np.float32(self.table(observation.detector).share * scale), Outputs.of(observation))

    def mean(self, state: Frames, refs, params) -> Frames:
        """Mix each pixel with the one before it."""
        own = params.own
        parts = own.outputs.split(state.dn)
        before = jnp.concatenate([parts[..., :1], parts[..., :-1]], axis=-1)
        return replace(state, dn=own.outputs.join(parts + own.share * (before - parts)))
