"""Where the light of an order falls, as an optical model says it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta

LIGHT_M_PER_S = 299792458.0


class Light(NamedTuple):
    """Wavelength of each pixel of the window, NaN where no light of the order falls.

    `corner` is the pixel (x, y), 0-based in the window, at which the official extract_2d begins its cut-out.
    """

    wavelength_um: Float[np.ndarray, "y x"]
    corner: tuple[int, int] = (0, 0)


def needed(meta: ExposureMeta, field: str, keyword: str) -> float:
    """A header value that the optical model cannot do without.

    Raises
    ------
    InputError
        If the header lacks it.
    """
    value = getattr(meta.geometry, field, None)
    if value is None:
        raise InputError(
            f"the header of the {meta.exp_type} exposure lacks {keyword}, which its wavelengths depend on; "
            "add it, or give a WAVEMAP reference"
        )
    return float(value)


def barycentric(meta: ExposureMeta) -> float:
    """Factor on measured wavelengths, `1 / (1 + v / c)` with v = VELOSYS as the official assign_wcs; 1 without it."""
    velocity = getattr(meta.geometry, "velocity_m_s", None)
    return 1.0 if velocity is None else 1 / (1 + velocity / LIGHT_M_PER_S)
