"""Where the spectrum falls across the dispersion: the pixel-integrated profile of each dispersion element."""

import numpy as np
from jaxtyping import Float
from scipy.special import erf

from uptheramp.calibrate.instruments.core import Horns, Order
from uptheramp.simulate.optics.subpixel import UNIFORM, edges, seen

FWHM_PER_SIGMA = 2.3548200450309493


def wavelength(order: Order, position_px: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Wavelength (um) at a position along the dispersion, linear between the knots of the order's table."""
    return np.interp(position_px, order.wavelength_um.x, order.wavelength_um.y)


def covered(order: Order, position_px: Float[np.ndarray, "..."]) -> np.ndarray:
    """Mark where the order's table gives a wavelength; elsewhere there is no light."""
    return (position_px >= order.wavelength_um.x[0]) & (position_px <= order.wavelength_um.x[-1])


def gaussian(
    distance_px: Float[np.ndarray, "edge along"], fwhm_px: Float[np.ndarray, "along"]
) -> Float[np.ndarray, "edge along"]:
    """Share of a Gaussian below each distance from its centre."""
    return _normal(distance_px / (fwhm_px / FWHM_PER_SIGMA))


def horned(
    distance_px: Float[np.ndarray, "edge along"],
    fwhm_px: Float[np.ndarray, "along"],
    horns: Horns,
    wavelength_um: Float[np.ndarray, "along"],
) -> Float[np.ndarray, "edge along"]:
    """Share of a defocused profile below each distance from its centre.

    Plateau of height 1 between +-fwhm / 2 with edges blurred by s, horns a exp(-(d +- c)^2 / 2 sigma^2) at
    c = fwhm / 2 - inset, and a Lorentzian with part of the light; all in closed form.
    """
    inset, sigma, lower, upper, s = (
        np.interp(wavelength_um, c.x, c.y)
        for c in (horns.inset_px, horns.sigma_px, horns.lower, horns.upper, horns.edge_px)
    )
    half = fwhm_px / 2
    bright = np.sqrt(2 * np.pi) * sigma
    plateau = s * (_ramp((distance_px + half) / s) - _ramp((distance_px - half) / s))
    low, high = (_normal((distance_px + sign * (half - inset)) / sigma) for sign in (1, -1))
    core = (plateau + bright * (lower * low + upper * high)) / (fwhm_px + bright * (lower + upper))
    wing = 0.5 + np.arctan(distance_px / horns.wing_px) / np.pi
    return (1 - horns.wing_fraction) * core + horns.wing_fraction * wing


def _normal(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + erf(z / np.sqrt(2)))


def _ramp(z: np.ndarray) -> np.ndarray:
    """Integral of the normal distribution function."""
    return z * _normal(z) + np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def profile(
    order: Order,
    shape: tuple[int, int],
    dispersion_axis: int,
    shift_px: tuple[float, float] = (0.0, 0.0),
    widened: float = 0.0,
    sensitivity: Float[np.ndarray, "sample"] = UNIFORM,
) -> Float[np.ndarray, "y x"]:
    """Share of a dispersion element's light in each pixel; the shape follows the wavelength, the centre the trace.

    The shape is integrated over the pixels with their response inside, and sums to one over an infinite column.
    The whole image is moved by `shift_px` (x, y), and widths grow by the factor 1 + `widened`.
    """
    across, along = shape if dispersion_axis == 1 else shape[::-1]
    moved_along, moved_across = shift_px if dispersion_axis == 1 else shift_px[::-1]
    position = np.arange(along, dtype=float) - moved_along
    centre = np.interp(position, order.trace_px.x, order.trace_px.y) + moved_across
    lam = wavelength(order, position)
    fwhm = np.interp(lam, order.fwhm_px.x, order.fwhm_px.y) * (1 + widened)
    distance = edges(across, len(sensitivity))[:, None] - centre
    below = gaussian(distance, fwhm) if order.horns is None else horned(distance, fwhm, order.horns, lam)
    image = seen(np.diff(below, axis=0), sensitivity)
    return image if dispersion_axis == 1 else image.T


def lean_px(order: Order, shape: tuple[int, int], dispersion_axis: int) -> Float[np.ndarray, "y x"] | None:
    """How far along the dispersion the tilt of monochromatic images moves each pixel's light; None without tilt."""
    if order.tilt_deg is None or not any(order.tilt_deg.y):
        return None
    across, along = shape if dispersion_axis == 1 else shape[::-1]
    position = np.arange(along, dtype=float)
    slope = np.tan(np.radians(np.interp(wavelength(order, position), order.tilt_deg.x, order.tilt_deg.y)))
    lean = slope * (np.arange(across)[:, None] - np.interp(position, order.trace_px.x, order.trace_px.y))
    return lean if dispersion_axis == 1 else lean.T
