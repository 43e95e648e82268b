"""The image of a star, integrated over the pixels with their response inside, unit sum over an infinite plane.

In focus it is the sum of round Gaussians: a core of the table's FWHM and the wings of an Airy disc, whose encircled
energy the sum follows to 4 % at every radius; spikes, hexagons and speckles are left out. Behind a weak lens it is the
evenly lit ring of a round pupil, its edges softened; segments, struts and the ripples of diffraction are left out.
"""

import numpy as np
from jaxtyping import Float
from scipy.special import erfc

from uptheramp.simulate.optics.subpixel import UNIFORM, edges, seen
from uptheramp.simulate.optics.trace import FWHM_PER_SIGMA, gaussian

# share of the light and width over that of the core: non-negative least squares to 1 - J0^2 - J1^2
GAUSSIANS = ((0.872, 1.0), (0.036, 4.0), (0.073, 8.0), (0.012, 32.0), (0.007, 64.0))
HOLE = 0.24  # diameter of the missing central segment over that of a disc as large as the primary mirror
FINEST = 4  # samples of a pixel along an axis for the ring, whose edges are softer than a pixel

Box = tuple[int, int, int, int]  # y, y end, x, x end


def in_focus(
    box: Box, centre_px: tuple[float, float], fwhm_px: float, sensitivity: Float[np.ndarray, "sample"]
) -> Float[np.ndarray, "y x"]:
    """Image of a star at `centre_px` (x, y) in the pixels of a box."""
    y, y_end, x, x_end = box
    image = np.zeros((y_end - y, x_end - x))
    for share, wider in GAUSSIANS:
        across = line(x_end - x, centre_px[0] - x, fwhm_px * wider, sensitivity)
        down = line(y_end - y, centre_px[1] - y, fwhm_px * wider, sensitivity)
        image += share * down[:, None] * across
    return image


def line(
    pixels: int, centre_px: float, fwhm_px: float, sensitivity: Float[np.ndarray, "sample"] = UNIFORM
) -> Float[np.ndarray, "pixel"]:
    """Gaussian integrated over the pixels of a line with their response inside, unit sum over an infinite line."""
    below = gaussian(edges(pixels, len(sensitivity)) - centre_px, np.asarray(fwhm_px))
    return seen(np.diff(below), sensitivity)


def ring(
    box: Box,
    centre_px: tuple[float, float],
    diameter_px: float,
    fwhm_px: float,
    sensitivity: Float[np.ndarray, "sample"],
) -> Float[np.ndarray, "y x"]:
    """Image behind a weak lens: light per area 1 / (pi (R^2 - r^2)) between the radii, edges of a Gaussian's width.

    A disc of radius R with edges erfc((s - R) / sqrt(2) sigma) / 2 holds pi (R^2 + sigma^2): no sigma in the ring.
    """
    y, y_end, x, x_end = box
    fine = sensitivity if len(sensitivity) > 1 else np.ones(FINEST)
    samples = len(fine)

    def middles(first: int, end: int, centre: float) -> np.ndarray:
        edge = edges(end - first, samples)
        return (edge[1:] + edge[:-1]) / 2 + first - centre

    distance = np.hypot(middles(y, y_end, centre_px[1])[:, None], middles(x, x_end, centre_px[0]))
    soft = max(fwhm_px, 2.0) / FWHM_PER_SIGMA * np.sqrt(2)
    outer = diameter_px / 2
    inner = outer * HOLE
    density = 0.5 * (erfc((distance - outer) / soft) - erfc((distance - inner) / soft))
    density = density / (np.pi * (outer**2 - inner**2) * samples**2)
    return seen(seen(density, fine).T, fine).T


def box_around(shape: tuple[int, int], centre_px: tuple[float, float], half_px: float) -> Box:
    """Pixels of a window within `half_px` of a star, at least one."""

    def span(centre: float, size: int) -> tuple[int, int]:
        first = int(np.clip(np.floor(centre - half_px), 0, size - 1))
        return first, int(np.clip(np.ceil(centre + half_px) + 1, first + 1, size))

    return (*span(centre_px[1], shape[0]), *span(centre_px[0], shape[1]))
