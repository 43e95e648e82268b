"""References of the optics: wavelengths, the extraction aperture, the flux calibration."""

import numpy as np

from uptheramp.calibrate.instruments.core import Order
from uptheramp.calibrate.references import photom as photom_format
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.photom import Photom
from uptheramp.calibrate.references.photom_soss import PhotomSoss
from uptheramp.calibrate.references.wavemap import Wavemap
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics import trace
from uptheramp.simulate.optics.dispersed import Spectrum
from uptheramp.simulate.ramps.render import Constants
from uptheramp.simulate.scene import star

HALF_WIDTH_FWHM = 1.75  # of the widest part of the trace: the box holds all but 4e-5 of a Gaussian
GAP_PX = 1.0  # between box and background window
NARROWEST_PX = 1.0  # background windows that are narrower are left out
TRACE_DEGREE = 3
SOSS_WIDTH_PX = 40.0  # of the box of the official extraction of SOSS
FAINTEST = 1e-3  # of the brightest element: below, no flux calibration is measured


def wavemap(observation: Observation) -> Wavemap:
    """Return the wavelength of the first order in each pixel, the same all across the dispersion."""
    order, axis = observation.mode.orders[0], observation.mode.dispersion_axis
    position = np.arange(observation.shape[1] if axis == 1 else observation.shape[0], dtype=float)
    along = np.where(trace.covered(order, position), trace.wavelength(order, position), np.nan).astype(np.float32)
    return Wavemap(np.broadcast_to(along if axis == 1 else along[:, None], observation.shape).copy())


def extract1d(observation: Observation) -> Extract1d:
    """Return a box around the trace of the first order, and a background window on each side where there is room."""
    order, readout = observation.mode.orders[0], observation.readout
    axis = observation.mode.dispersion_axis
    across, along = observation.shape if axis == 1 else observation.shape[::-1]
    edge = readout.reference_rows if axis == 1 else readout.reference_columns
    position = np.arange(along)
    middle = np.interp(position, order.trace_px.x, order.trace_px.y)
    centre = np.polynomial.Polynomial.fit(position, middle, TRACE_DEGREE).convert().coef
    half = np.ceil(HALF_WIDTH_FWHM * max(order.fwhm_px.y)) + 0.5

    def shifted(by: float) -> np.ndarray:
        return centre + by * (np.arange(len(centre)) == 0)

    def level(value: float) -> np.ndarray:
        return value * (np.arange(len(centre)) == 0)

    below = [level(edge[0] - 0.5), shifted(-half - GAP_PX)]
    above = [shifted(half + GAP_PX), level(across - edge[1] - 0.5)]
    room = middle.min() - half - GAP_PX - edge[0], across - edge[1] - 1 - middle.max() - half - GAP_PX
    windows = [w for w, width in zip((below, above), room, strict=True) if width >= NARROWEST_PX]
    background = np.array(windows).reshape(-1, 2, len(centre))
    return Extract1d(shifted(-half), shifted(half), background, axis)


def photom(observation: Observation, constants: Constants) -> Photom | PhotomSoss:
    """Return flux over count rate of the star itself.

    One row for spectra of one order; a table of all orders for SOSS, whose spectra the official pipeline calibrates
    after the extraction, with the light that its box holds.
    """
    o = observation
    pairs = list(zip(o.mode.orders, constants.spectra, strict=True))
    table = photom_format.TABLES.get(o.mode.exp_type)
    if table is None:
        return _all_orders([(order, *_response(o, order, s, constants, in_box=True)) for order, s in pairs])
    lam, response = _response(o, *pairs[0], constants)
    unit = photom_format.UNITS[table.factor]
    if unit.endswith("/sr"):
        response = response / pixel_sr(o)
    if table.per_micron:
        response = response * np.abs(np.gradient(lam))
    middle = float(np.median(response))
    return Photom(
        np.float32(middle),
        lam.astype(np.float32),
        (response / middle).astype(np.float32),
        unit,
        table.per_micron,
        pixel_sr(o),
    )


def pixel_sr(observation: Observation) -> float:
    """Solid angle of a pixel."""
    scale = observation.detector.pixel_scale_arcsec
    return scale[0] * scale[1] / photom_format.ARCSEC2_PER_SR


def _within_box(order: Order, spectrum: Spectrum, position: np.ndarray) -> np.ndarray:
    """Share of each element's light in the box of SOSS_WIDTH_PX around the trace, edge pixels by their part."""
    profile = np.asarray(spectrum.profile, float)
    distance = np.abs(np.arange(len(profile))[:, None] - np.interp(position, order.trace_px.x, order.trace_px.y))
    return np.sum(profile * np.clip(SOSS_WIDTH_PX / 2 + 0.5 - distance, 0, 1), axis=0)


def _response(
    o: Observation, order: Order, spectrum: Spectrum, constants: Constants, *, in_box: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Wavelength (um, ascending) and MJy per DN/s of a dispersion element, where the star gives light enough."""
    rate = np.asarray(spectrum.response(spectrum.photons)) / float(np.mean(constants.maps.gain))
    position = np.arange(len(rate), dtype=float)
    if in_box:
        rate = rate * _within_box(order, spectrum, position)
    bright = np.flatnonzero(trace.covered(order, position) & (rate > FAINTEST * rate.max()))
    lam = trace.wavelength(order, position[bright])
    by_wavelength = np.argsort(lam)
    return lam[by_wavelength], (star.flux_jy(o.star, lam) * 1e-6 / rate[bright])[by_wavelength]


def _all_orders(responses: list[tuple[Order, np.ndarray, np.ndarray]]) -> PhotomSoss:
    middle = [float(np.median(response)) for _, _, response in responses]
    curves = [(lam, response / m) for (_, lam, response), m in zip(responses, middle, strict=True)]
    return PhotomSoss.of_curves(tuple(order.number for order, _, _ in responses), middle, curves)
