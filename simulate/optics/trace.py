"""Where the spectrum falls across the dispersion: the pixel-integrated profile of each dispersion element."""

import numpy as np
from jaxtyping import Float
from scipy.special import erf

from uptheramp.calibrate.instruments.core import Order

FWHM_PER_SIGMA = 2.3548200450309493


def wavelength(order: Order, position_px: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Wavelength (um) at a position along the dispersion, linear between the knots of the order's table."""
    return np.interp(position_px, order.wavelength_um.x, order.wavelength_um.y)


def covered(order: Order, position_px: Float[np.ndarray, "..."]) -> np.ndarray:
    """Mark where the order's table gives a wavelength; elsewhere there is no light."""
    return (position_px >= order.wavelength_um.x[0]) & (position_px <= order.wavelength_um.x[-1])


def gaussian(
    across: int, centre_px: Float[np.ndarray, "along"], fwhm_px: Float[np.ndarray, "along"]
) -> Float[np.ndarray, "across along"]:
    """Gaussian integrated over the pixels, unit sum over an infinite column."""
    edges = np.arange(across + 1)[:, None] - 0.5
    cumulative = 0.5 * (1 + erf((edges - centre_px) / (fwhm_px / FWHM_PER_SIGMA * np.sqrt(2))))
    return np.diff(cumulative, axis=0)


def profile(order: Order, shape: tuple[int, int], dispersion_axis: int) -> Float[np.ndarray, "y x"]:
    """Share of a dispersion element's light in each pixel; the FWHM follows the wavelength, the centre the trace."""
    across, along = shape if dispersion_axis == 1 else shape[::-1]
    position = np.arange(along, dtype=float)
    centre = np.interp(position, order.trace_px.x, order.trace_px.y)
    fwhm = np.interp(wavelength(order, position), order.fwhm_px.x, order.fwhm_px.y)
    image = gaussian(across, centre, fwhm)
    return image if dispersion_axis == 1 else image.T
