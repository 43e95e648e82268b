"""The first frame of each integration, kept beside groups of averaged frames; what is not usable of it is 0."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

Frames = Float[Array, "integration y x"]


def corrected(zeroframe: Frames | None, correct: Callable[[Frames], Frames]) -> Frames | None:
    """Apply a correction of frames to the ZEROFRAME where there is one; what is 0 stays 0."""
    if zeroframe is None:
        return None
    return jnp.where(zeroframe == 0, 0, correct(zeroframe))
