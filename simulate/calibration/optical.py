"""References of the optics: wavelengths, the extraction aperture, the flux calibration."""

import numpy as np

from uptheramp.calibrate.references import photom as photom_format
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.photom import Photom
from uptheramp.calibrate.references.wavemap import Wavemap
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps.render import Constants
from uptheramp.simulate.scene import star

HALF_WIDTH_FWHM = 1.75  # of the widest part of the trace: the box holds all but 4e-5 of a Gaussian
GAP_PX = 1.0  # between box and background window
NARROWEST_PX = 1.0  # background windows that are narrower are left out
TRACE_DEGREE = 3
ARCSEC2_PER_SR = 4.254517e10
FAINTEST = 1e-3  # of the brightest element: below, no flux calibration is measured


def wavemap(observation: Observation, constants: Constants) -> Wavemap:
    """Return the wavelength of the first order in each pixel, the same all across the dispersion."""
    along = constants.spectra[0].along_um.astype(np.float32)
    along = along if observation.mode.dispersion_axis == 1 else along[:, None]
    return Wavemap(np.broadcast_to(along, observation.shape).copy())


def extract1d(observation: Observation) -> Extract1d:
    """Return a box around the trace of the first order, and a background window on each side where there is room."""
    order, readout = observation.mode.orders[0], observation.readout
    axis = observation.mode.dispersion_axis
    across, along = observation.shape if axis == 1 else observation.shape[::-1]
    edge = readout.reference_rows if axis == 1 else readout.reference_columns
    position = np.arange(along)
    trace = np.interp(position, order.trace_px.x, order.trace_px.y)
    centre = np.polynomial.Polynomial.fit(position, trace, TRACE_DEGREE).convert().coef
    half = np.ceil(HALF_WIDTH_FWHM * max(order.fwhm_px.y)) + 0.5

    def shifted(by: float) -> np.ndarray:
        return centre + by * (np.arange(len(centre)) == 0)

    def level(value: float) -> np.ndarray:
        return value * (np.arange(len(centre)) == 0)

    below = [level(edge[0] - 0.5), shifted(-half - GAP_PX)]
    above = [shifted(half + GAP_PX), level(across - edge[1] - 0.5)]
    room = trace.min() - half - GAP_PX - edge[0], across - edge[1] - 1 - trace.max() - half - GAP_PX
    windows = [w for w, width in zip((below, above), room, strict=True) if width >= NARROWEST_PX]
    background = np.array(windows).reshape(-1, 2, len(centre))
    return Extract1d(shifted(-half), shifted(half), background, axis)


def photom(observation: Observation, constants: Constants) -> Photom | None:
    """Return flux over count rate of the star itself; None where the exposure type has no official table."""
    table = photom_format.TABLES.get(observation.mode.exp_type)
    if table is None:
        return None
    spectrum = constants.spectra[0]
    rate = np.asarray(spectrum.response(spectrum.photons)) / float(np.mean(constants.maps.gain))
    lam = spectrum.along_um
    lit = np.isfinite(lam) & (rate > FAINTEST * rate.max())
    mjy = star.flux_jy(observation.star, lam[lit]) * 1e-6
    unit = photom_format.UNITS[table.factor]
    scale = observation.detector.pixel_scale_arcsec
    solid_angle = scale[0] * scale[1] / ARCSEC2_PER_SR if unit.endswith("/sr") else 1.0
    response = mjy / rate[lit] / solid_angle
    if table.per_micron:
        response = response * np.abs(np.gradient(lam[lit]))
    order = np.argsort(lam[lit])
    middle = float(np.median(response))
    return Photom(
        np.float32(middle),
        lam[lit][order].astype(np.float32),
        (response[order] / middle).astype(np.float32),
        unit,
        table.per_micron,
    )
