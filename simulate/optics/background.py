"""Light that is not the star's: sky and stray light, uniform over the window."""

import numpy as np
from jaxtyping import Float


def uniform(shape: tuple[int, int], e_per_s: float, scale: float) -> Float[np.ndarray, "y x"]:
    """Background rate, e-/s a pixel."""
    return np.full(shape, e_per_s * scale, np.float32)
