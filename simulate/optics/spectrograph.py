"""From a spectrum to dispersion elements: throughput, line spread, dispersion, telescope area in one banded matrix."""

from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import erf

from uptheramp.calibrate.instruments.core import Order
from uptheramp.simulate.optics.subpixel import UNIFORM, edges, seen
from uptheramp.simulate.optics.trace import FWHM_PER_SIGMA, covered, wavelength

TELESCOPE_AREA_M2 = 25.4
SAMPLES_PER_PIXEL = 2
CUT_SIGMA = 5.0


@dataclass(frozen=True)
class Grid:
    """Fine wavelength samples, evenly spaced in pixels along the dispersion, `margin` pixels beyond both ends."""

    position_px: np.ndarray
    wavelength_um: np.ndarray
    width_um: np.ndarray
    covered: np.ndarray
    margin: int


class Response(eqx.Module):
    """The matrix R, electrons at an element per photon / s / m2 / um at a fine wavelength; banded.

    Row s covers the fine samples `s * stride ... + band - 1`.
    """

    bands: Float[Array, "along band"]
    stride: int = eqx.field(static=True)

    def __call__(self, spectrum: Float[Array, "... wavelength"]) -> Float[Array, "... along"]:
        """R @ spectrum."""
        along, band = self.bands.shape
        index = np.arange(along)[:, None] * self.stride + np.arange(band)
        return jnp.einsum("...sb,sb->...s", spectrum[..., index], self.bands)

    def middle(self) -> np.ndarray:
        """Fine sample nearest to the middle of each element."""
        along, band = self.bands.shape
        return np.arange(along) * self.stride + band // 2


def line_sigma_px(order: Order, position_px: np.ndarray) -> np.ndarray:
    """Return standard deviation of the Gaussian line spread in pixels: FWHM lambda / R over the dispersion."""
    lam = wavelength(order, position_px)
    slope = np.abs(wavelength(order, position_px + 0.5) - wavelength(order, position_px - 0.5))
    resolving = np.interp(lam, order.resolving_power.x, order.resolving_power.y)
    # beyond the ends of the table the slope is halved or zero: the floor keeps the line spread finite there
    floor = 0.3 * np.median(slope[covered(order, position_px)])
    return lam / resolving / np.maximum(slope, floor) / FWHM_PER_SIGMA


def grid(order: Order, along: int, reach_px: float = 0.0) -> Grid:
    """Return the fine grid of an order on a window `along` pixels long that may move by `reach_px` either way."""
    inside = np.arange(along, dtype=float)
    inside = inside[covered(order, inside)]
    margin = int(np.ceil(CUT_SIGMA * line_sigma_px(order, inside).max() + reach_px)) + 1
    count = (along + 2 * margin) * SAMPLES_PER_PIXEL
    position = -margin - 0.5 + (np.arange(count) + 0.5) / SAMPLES_PER_PIXEL
    half = 0.5 / SAMPLES_PER_PIXEL
    width = np.abs(wavelength(order, position + half) - wavelength(order, position - half))
    return Grid(position, wavelength(order, position), width, covered(order, position), margin)


def response(
    order: Order,
    fine: Grid,
    along: int,
    shift_px: float = 0.0,
    widened: float = 0.0,
    sensitivity: Float[np.ndarray, "sample"] = UNIFORM,
) -> Response:
    """R: throughput x line spread integrated over the pixel (with its response inside) x dlambda x telescope area.

    The spectrum is moved by `shift_px` along the dispersion, its lines are wider by the factor 1 + `widened`.
    """
    band = (2 * fine.margin + 1) * SAMPLES_PER_PIXEL
    index = np.arange(along)[:, None] * SAMPLES_PER_PIXEL + np.arange(band)
    sigma = line_sigma_px(order, fine.position_px) * np.sqrt(2) * (1 + widened)
    distance = np.arange(along)[:, None] - fine.position_px[index] - shift_px
    cumulative = np.stack([erf((distance + edge) / sigma[index]) for edge in edges(1, len(sensitivity))])
    spread = 0.5 * seen(np.diff(cumulative, axis=0), sensitivity)[0]
    efficiency = np.interp(fine.wavelength_um, order.throughput.x, order.throughput.y, left=0.0, right=0.0)
    weight = efficiency * fine.width_um * fine.covered * TELESCOPE_AREA_M2
    return Response(spread * weight[index], SAMPLES_PER_PIXEL)
