"""Frames as the outputs of a detector read them: line by line, all outputs at once."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

if TYPE_CHECKING:
    from uptheramp.simulate.observation import Observation


@dataclass(frozen=True)
class Outputs:
    """How the pixels of a line are shared among outputs; static."""

    count: int
    fast_axis: int
    interleaved: bool

    @classmethod
    def of(cls, observation: "Observation") -> "Outputs":
        """Return those of an exposure."""
        return cls(observation.readout.outputs, observation.readout.fast_axis, observation.interleaved)

    def split(self, frames: Float[Array, "frame y x"]) -> Float[Array, "frame line output pixel"]:
        """Pixels of each output in the order in which it reads them."""
        lines = frames if abs(self.fast_axis) == 1 else jnp.swapaxes(frames, 1, 2)
        lines = lines[:, :, :: np.sign(self.fast_axis)]
        if self.interleaved:
            return jnp.swapaxes(lines.reshape(*lines.shape[:2], -1, self.count), 2, 3)
        return lines.reshape(*lines.shape[:2], self.count, -1)

    def join(self, parts: Float[Array, "frame line output pixel"]) -> Float[Array, "frame y x"]:
        """Return the frames that `split` took apart."""
        lines = (jnp.swapaxes(parts, 2, 3) if self.interleaved else parts).reshape(*parts.shape[:2], -1)
        lines = lines[:, :, :: np.sign(self.fast_axis)]
        return lines if abs(self.fast_axis) == 1 else jnp.swapaxes(lines, 1, 2)
