"""References with a plane for each of the first integrations."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def planes_of(
    data: Float[Array, "plane group y x"], integration: Int[Array, "integration"]
) -> Float[Array, "#integration group y x"]:
    """The plane of each integration, numbered from 0 in the exposure; the last plane serves all later ones."""
    if data.shape[0] == 1:
        return data
    return data[jnp.minimum(integration, data.shape[0] - 1)]
