"""Where the spectrum falls across the dispersion: the pixel-integrated profile of each dispersion element."""

import numpy as np
from jaxtyping import Float
from scipy.special import erf

from uptheramp.calibrate.instruments.core import Order
from uptheramp.simulate.optics.subpixel import UNIFORM, edges, seen

FWHM_PER_SIGMA = 2.3548200450309493


def wavelength(order: Order, position_px: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Wavelength (um) at a position along the dispersion, linear between the knots of the order's table."""
    return np.interp(position_px, order.wavelength_um.x, order.wavelength_um.y)


def covered(order: Order, position_px: Float[np.ndarray, "..."]) -> np.ndarray:
    """Mark where the order's table gives a wavelength; elsewhere there is no light."""
    return (position_px >= order.wavelength_um.x[0]) & (position_px <= order.wavelength_um.x[-1])


def gaussian(
    across: int,
    centre_px: Float[np.ndarray, "along"],
    fwhm_px: Float[np.ndarray, "along"],
    sensitivity: Float[np.ndarray, "sample"] = UNIFORM,
) -> Float[np.ndarray, "across along"]:
    """Gaussian integrated over the pixels with their response inside, unit sum over an infinite column."""
    edge = edges(across, len(sensitivity))[:, None]
    cumulative = 0.5 * (1 + erf((edge - centre_px) / (fwhm_px / FWHM_PER_SIGMA * np.sqrt(2))))
    return seen(np.diff(cumulative, axis=0), sensitivity)


def profile(
    order: Order,
    shape: tuple[int, int],
    dispersion_axis: int,
    shift_px: tuple[float, float] = (0.0, 0.0),
    widened: float = 0.0,
    sensitivity: Float[np.ndarray, "sample"] = UNIFORM,
) -> Float[np.ndarray, "y x"]:
    """Share of a dispersion element's light in each pixel; the FWHM follows the wavelength, the centre the trace.

    The whole image is moved by `shift_px` (x, y), and widths grow by the factor 1 + `widened`.
    """
    across, along = shape if dispersion_axis == 1 else shape[::-1]
    moved_along, moved_across = shift_px if dispersion_axis == 1 else shift_px[::-1]
    position = np.arange(along, dtype=float) - moved_along
    centre = np.interp(position, order.trace_px.x, order.trace_px.y) + moved_across
    fwhm = np.interp(wavelength(order, position), order.fwhm_px.x, order.fwhm_px.y) * (1 + widened)
    image = gaussian(across, centre, fwhm, sensitivity)
    return image if dispersion_axis == 1 else image.T
