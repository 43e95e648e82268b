"""The planet's own light: a phase curve, and the eclipse behind the star."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.simulate.scene.occultation import overlap


class Emission(eqx.Module):
    """Flux over the star's of the whole day side and night side, and how far east of noon the brightest meridian is."""

    day: Float[Array, "wavelength"]
    night: Float[Array, "wavelength"]
    offset_rad: Float[Array, ""]


def planet_light(
    emission: Emission,
    x: Float[Array, "time wavelength"],
    z: Float[Array, "time wavelength"],
    distance: Float[Array, "time wavelength"],
    k: Float[Array, "wavelength"],
) -> Float[Array, "time wavelength"]:
    """Night + (day - night) (1 + cos(theta - offset)) / 2, times the part of the disc that is not behind the star.

    theta is the planet's angle around the star from superior conjunction; it passes 0 in the eclipse, coming from
    positive values, so that an eastward offset makes the peak come before the eclipse.
    """
    theta = jnp.arctan2(x, -z)
    phase = (1 + jnp.cos(theta - emission.offset_rad)) / 2
    hidden = jnp.where(z < 0, overlap(distance, k, 1.0) / (jnp.pi * jnp.maximum(k, 1e-12) ** 2), 0.0)
    return (emission.night + (emission.day - emission.night) * phase) * (1 - hidden)
