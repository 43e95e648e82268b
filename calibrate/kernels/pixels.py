"""Raw samples become floating pixels."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Num


def floating(data: Num[Array, "..."]) -> Float[Array, "..."]:
    """Integers (uint16 as read from a file) as float32; floating pixels keep their dtype."""
    return data if jnp.issubdtype(data.dtype, jnp.floating) else data.astype(jnp.float32)
