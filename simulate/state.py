"""What flows through the forward model, one integration at a time: pointing, light, charge, numbers.

Axes are `frame, y, x`; every frame that is clocked is present, also those that are later averaged or dropped.
`integration` is the 0-based number in the exposure, `memory` what effects carry on to the next one, by their names.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

import uptheramp.calibrate.state  # noqa: F401  turns 64-bit JAX on


class Pointing(eqx.Module):
    """How images move and change, mean over each frame, relative to where the instrument's table puts them.

    `jitter_px` is the rms of normal motion over which light is to be averaged; None where there is none, or a draw.
    """

    shift_px: Float[Array, "frame axis"]  # (x, y)
    width: Float[Array, "frame"]  # relative change of every width
    flux: Float[Array, "frame"]  # relative change of the stars' light
    jitter_px: Float[Array, "axis"] | None  # (x, y)
    integration: Int[Array, ""]
    memory: dict[str, Any] = eqx.field(default_factory=dict)

    @classmethod
    def at_rest(cls, frames: int, integration: Int[Array, ""], memory: dict[str, Any]) -> "Pointing":
        """Images where the table puts them."""
        still = jnp.zeros(frames)
        return cls(jnp.zeros((frames, 2)), still, still, None, integration, memory)


class Illumination(eqx.Module):
    """Rate of photo-electrons (and, after the dark, of all electrons), e-/s, mean over each frame.

    `boundaries`, where present, divides the light between neighbours anew as charge accumulates (charge_migration.py).
    """

    rate: Float[Array, "frame y x"]
    integration: Int[Array, ""]
    memory: dict[str, Any] = eqx.field(default_factory=dict)
    boundaries: Any = None


class Charge(eqx.Module):
    """Electrons in each pixel since its reset, at each read; after the non-linearity, in linear-equivalent ones."""

    electrons: Float[Array, "frame y x"]
    integration: Int[Array, ""]
    memory: dict[str, Any] = eqx.field(default_factory=dict)


class Frames(eqx.Module):
    """Numbers out of the converter, DN."""

    dn: Float[Array, "frame y x"]
    integration: Int[Array, ""]
    memory: dict[str, Any] = eqx.field(default_factory=dict)
