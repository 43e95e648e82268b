"""Light that is not a star's: zodiacal, stray and thermal, the same across the dispersion, shaped along it."""

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.instruments.core import Mode


def image(mode: Mode, shape: tuple[int, int], scale: float) -> Float[np.ndarray, "y x"]:
    """Background rate, e-/s a pixel: the table's level times its shape along the dispersion (where it has one)."""
    level = np.full(shape, mode.background_e_per_s * scale)
    if mode.background_shape is not None:
        along = shape[1] if mode.dispersion_axis == 1 else shape[0]
        curve = np.interp(np.arange(along), mode.background_shape.x, mode.background_shape.y)
        level = level * (curve if mode.dispersion_axis == 1 else curve[:, None])
    return level.astype(np.float32)
