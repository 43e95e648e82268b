"""What flows through the forward model, one integration at a time: light, charge, numbers.

Axes are `frame, y, x`; every frame that is clocked is present, also those that are later averaged or dropped.
`integration` is the 0-based number in the exposure.
"""

import equinox as eqx
from jaxtyping import Array, Float, Int

import uptheramp.calibrate.state  # noqa: F401  turns 64-bit JAX on


class Illumination(eqx.Module):
    """Rate of photo-electrons (and, after the dark, of all electrons), e-/s, mean over each frame."""

    rate: Float[Array, "frame y x"]
    integration: Int[Array, ""]


class Charge(eqx.Module):
    """Electrons in each pixel since its reset, at each read; after the non-linearity, in linear-equivalent ones."""

    electrons: Float[Array, "frame y x"]
    integration: Int[Array, ""]


class Frames(eqx.Module):
    """Numbers out of the converter, DN; `memory` is what the electronics carry on to the next integration."""

    dn: Float[Array, "frame y x"]
    integration: Int[Array, ""]
    memory: dict[str, Array]
