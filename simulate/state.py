"""What flows through the forward model, one integration at a time: light, charge, numbers.

Axes are `frame, y, x`; every frame that is clocked is present, also those that are later averaged or dropped.
`integration` is the 0-based number in the exposure, `memory` what effects carry on to the next one, by their names.
"""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, Int

import uptheramp.calibrate.state  # noqa: F401  turns 64-bit JAX on


class Illumination(eqx.Module):
    """Rate of photo-electrons (and, after the dark, of all electrons), e-/s, mean over each frame."""

    rate: Float[Array, "frame y x"]
    integration: Int[Array, ""]
    memory: dict[str, Any] = eqx.field(default_factory=dict)


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
