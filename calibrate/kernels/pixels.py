"""Raw samples become floating pixels, and pixels that do not count become 0."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num


def floating(data: Num[Array, "..."]) -> Float[Array, "..."]:
    """Integers (uint16 as read from a file) as float32; floating pixels keep their dtype."""
    return data if jnp.issubdtype(data.dtype, jnp.floating) else data.astype(jnp.float32)


def zeroed(image: Float[Array, "..."], good: Bool[Array, "..."]) -> Float[Array, "..."]:
    """Give the image with 0 (and zero gradient) wherever it is not good or not finite."""
    return jnp.where(good & jnp.isfinite(image), image, 0)
