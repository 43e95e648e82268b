"""How much of one disc another covers."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def overlap(
    distance: Float[Array, "..."], first: Float[Array, "..."], second: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Area that two discs of the given radii share: a circle, nothing, or a lens of two circular segments."""
    small, large = jnp.minimum(first, second), jnp.maximum(first, second)
    inside, apart = distance <= large - small, distance >= large + small
    lens = ~inside & ~apart
    d = jnp.where(lens, distance, large)  # any lens: keeps the discarded branch and its gradient finite
    s = jnp.where(lens, small, large / 2)
    angle_s = jnp.arccos(jnp.clip((d**2 + s**2 - large**2) / (2 * d * s), -1, 1))
    angle_l = jnp.arccos(jnp.clip((d**2 + large**2 - s**2) / (2 * d * large), -1, 1))
    kite = (-d + s + large) * (d + s - large) * (d - s + large) * (d + s + large)
    area = s**2 * angle_s + large**2 * angle_l - 0.5 * jnp.sqrt(jnp.maximum(kite, 1e-300))
    return jnp.where(apart, 0.0, jnp.where(inside, jnp.pi * small**2, area))
