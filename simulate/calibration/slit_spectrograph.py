"""The optical model of NIRSpec bright-object spectra: pixel -> FPA -> camera -> grating wheel -> slit -> telescope.

The official pipeline finds wavelengths by tracing pixels through these references and solving the equation of the
disperser. Our tables give wavelengths, not the optics behind them. So the chain is built backwards: the disperser and
the slit are fixed, the direction in which each wavelength leaves the disperser follows from the disperser's equation,
and the CAMERA is the table that sends each pixel into the direction of its wavelength.

With m = -1, alpha the direction cosines along the dispersion, d the groove density and A the apex angle of the prism:

    grating   lambda = (alpha_in + alpha_out) / d
    prism     alpha_out = sin(2 A) sqrt(n(lambda)^2 - alpha_in^2 - beta^2) - alpha_in cos(2 A)

(the second is Snell's law at the front surface, reflection at the back one tilted by A, and the front surface again).
The slit is as tall as the window, untilted, and the scale at the slit one pixel per pixel: only wavelengths, not
positions on the sky, are those of the instrument. Rows differ in wavelength by less than 1e-6 of it, through beta.
"""

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.references.carried import Carried
from uptheramp.calibrate.references.slits import SLITS
from uptheramp.simulate.calibration.imager import planar
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics import trace
from uptheramp.simulate.ramps.geometry import PRISM_K

PIXEL_M, CAMERA_M, COLLIMATOR_M = 18e-6, 0.27, 0.6  # any lengths serve: the camera's table makes up for them
ALPHA_IN = 0.38  # of the gratings
APEX_DEG = -16.5
# CaF2 at room temperature, Malitson (1963), Applied Optics 2, 1103: n^2 - 1 = sum K L^2 / (lambda^2 - L)
SELLMEIER_K = (0.5675888, 0.4710914, 3.8484723)
SELLMEIER_L_UM2 = (0.050263605**2, 0.1003909**2, 34.649040**2)
PRISM_RANGE_UM = (0.31, 7.9)  # outside, the official pipeline has no refractive index
MARGIN_PX = 10  # by which the official pipeline widens the range along the dispersion
SHUTTERS = 5
SLIT_NUMBER = 3  # of S1600A1 among the fixed slits
USED_HEIGHT = 1.1  # of the slit: the official pipeline goes from -0.55 to 0.55


def refractive_index(lam_um: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Of calcium fluoride."""
    square = lam_um**2
    terms = [k * square / (square - scale) for k, scale in zip(SELLMEIER_K, SELLMEIER_L_UM2, strict=True)]
    return np.sqrt(1 + sum(terms))


def along_um(observation: Observation) -> Float[np.ndarray, "along"]:
    """Wavelength of each pixel of the window, carried on in straight lines beyond the table's ends."""
    order = observation.mode.orders[0]
    position = np.arange(observation.subarray.size[0], dtype=float)
    x, y = np.asarray(order.wavelength_um.x), np.asarray(order.wavelength_um.y)
    first, last = (y[1] - y[0]) / (x[1] - x[0]), (y[-1] - y[-2]) / (x[-1] - x[-2])
    inside = trace.wavelength(order, position)
    below, above = np.minimum(position - x[0], 0) * first, np.maximum(position - x[-1], 0) * last
    return inside + below + above


def disperser(observation: Observation) -> Carried:
    """DISPERSER: grooves, or glass and apex angle; no rotation, and no dependence on the tilt sensors."""
    from astropy.modeling.models import Polynomial1D

    tilt = {"temperatures": [PRISM_K], "tilt_model": Polynomial1D(1, c0=0.0, c1=0.0), "unit": "arcsec"}
    content = {name: tilt | {"zeroreadings": [0.0]} for name in ("gwa_tiltx", "gwa_tilty")}
    content |= {"theta_x": 0.0, "theta_y": 0.0, "theta_z": 0.0}
    if _is_prism(observation):
        content |= {"angle": APEX_DEG, "kcoef": list(SELLMEIER_K), "lcoef": list(SELLMEIER_L_UM2)}
        content |= {"tcoef": [0.0] * 6, "tref": PRISM_K, "pref": 0.0}
    else:
        content |= {"groovedensity": _grooves_per_m(observation)}
    return Carried("DisperserModel", content, {"tilt_x": 0.0, "tilt_y": 0.0})


def fpa(observation: Observation) -> Carried:
    """FPA: detector pixel (0-based, as the SCA counts) to metres from the middle of the window's first column."""
    import astropy.units as u
    from astropy.modeling.models import Scale, Shift

    x, y = _sca(observation, 0.0, _middle_row(observation))
    model = planar(Shift(-float(x)), Shift(-float(y))) | planar(Scale(PIXEL_M), Scale(PIXEL_M))
    content = {"nrs1_model": model, "nrs2_model": model}
    return Carried("FPAModel", content, {"meta.input_units": u.pix, "meta.output_units": u.m})


def camera(observation: Observation) -> Carried:
    """CAMERA: metres at the FPA to slopes behind the disperser, by pixel along the dispersion, linear across it."""
    import astropy.units as u
    from astropy.modeling.models import Scale, Tabular1D

    lam = along_um(observation)
    alpha = _alpha_out(observation, lam)
    slope = alpha / np.sqrt(1 - alpha**2)
    place = (_sca(observation, np.arange(len(lam)), 0.0)[0] - _sca(observation, 0.0, 0.0)[0]) * PIXEL_M
    order = np.argsort(place)
    table = Tabular1D(points=(place[order],), lookup_table=slope[order], bounds_error=False, fill_value=None)
    back = np.argsort(slope)
    inverse = Tabular1D(points=(slope[back],), lookup_table=place[back], bounds_error=False, fill_value=None)
    model = planar(table, Scale(1 / CAMERA_M))
    model.inverse = planar(inverse, Scale(CAMERA_M))
    units = {"meta.input_units": u.m, "meta.output_units": u.dimensionless_unscaled}
    return Carried("CameraModel", {"model": model}, units, inline=True)


def collimator(observation: Observation) -> Carried:
    """COLLIMATOR: slopes to metres at the slit plane."""
    import astropy.units as u
    from astropy.modeling.models import Scale

    model = planar(Scale(COLLIMATOR_M), Scale(COLLIMATOR_M))
    units = {"meta.input_units": u.dimensionless_unscaled, "meta.output_units": u.m}
    return Carried("CollimatorModel", {"model": model}, units)


def msa(observation: Observation) -> Carried:
    """MSA: centres and sizes of the fixed slits, metres; the one of bright objects is as tall as the window."""
    import astropy.units as u
    from astropy.modeling.models import Identity

    scale = PIXEL_M / CAMERA_M * COLLIMATOR_M  # one row
    # the official pipeline adds 2 rows at each end of the slit
    rows = observation.shape[0] - 3.2
    centre = np.tan(np.arcsin(_alpha_in(observation))) * COLLIMATOR_M
    # oblique light makes the slit look shorter
    height = rows * scale / USED_HEIGHT * np.hypot(1, centre / COLLIMATOR_M)
    number = np.arange(SHUTTERS)
    shape = [("NO", "i4"), ("XC", "f8"), ("YC", "f8"), ("SIZEX", "f8"), ("SIZEY", "f8")]
    slits = np.zeros(SHUTTERS, shape)
    slits["NO"], slits["SIZEX"], slits["SIZEY"] = number, 16 * scale, height
    slits["XC"] = centre + (number - SLIT_NUMBER) * 100 * scale
    quadrants = [f"Q{n}" for n in range(1, 6)]
    content = {"models": dict.fromkeys(quadrants, Identity(2)), "data": dict.fromkeys(quadrants, slits)}
    return Carried("MSAModel", content, {"meta.input_units": u.m, "meta.output_units": u.m})


def fore(observation: Observation) -> Carried:
    """FORE: the identity, for every wavelength."""
    import astropy.units as u
    from astropy.modeling.models import Mapping

    model = Mapping((0, 1), n_inputs=3)
    model.inverse = Mapping((0, 1), n_inputs=3)
    return Carried("FOREModel", {"model": model}, {"meta.input_units": u.m, "meta.output_units": u.m})


def ote(observation: Observation) -> Carried:
    """OTE: metres at the slit plane to V2, V3 (arcsec), which are zero in the middle of the slit."""
    import astropy.units as u
    from astropy.modeling.models import Scale, Shift

    scale = PIXEL_M / CAMERA_M * COLLIMATOR_M
    along, across = (arcsec / scale for arcsec in observation.detector.pixel_scale_arcsec)
    centre = np.tan(np.arcsin(_alpha_in(observation))) * COLLIMATOR_M
    model = planar(Shift(-float(centre)), Shift(0.0)) | planar(Scale(along), Scale(across))
    return Carried("OTEModel", {"model": model}, {"meta.input_units": u.m, "meta.output_units": u.arcsec})


def wavelengthrange(observation: Observation) -> Carried:
    """WAVELENGTHRANGE (m): all columns, so that the cut-out of the official pipeline begins where the window does."""
    import astropy.units as u

    lam = along_um(observation)
    ends = np.interp([MARGIN_PX, len(lam) - MARGIN_PX + 0.25], np.arange(len(lam)), lam)
    low, high = ends.min(), ends.max()
    if _is_prism(observation):
        low, high = max(low, PRISM_RANGE_UM[0]), min(high, PRISM_RANGE_UM[1])
    selector = f"{observation.mode.filter}_{observation.mode.grating}"
    ranges = {"wrange_selector": [selector], "wrange": [[low * 1e-6, high * 1e-6]], "order": [-1], "wunits": u.m}
    return Carried("WavelengthrangeModel", ranges)


def area(observation: Observation) -> Carried:
    """AREA: solid angle of a pixel of the slit, arcsec2."""
    scale = observation.detector.pixel_scale_arcsec
    row = (SLITS[observation.mode.exp_type], scale[0] * scale[1])
    table = np.array([row], dtype=[("slit_id", "S15"), ("pixarea", "f4")])
    return Carried("NirspecSlitAreaModel", {"area_table": table}, ending="fits")


def _is_prism(observation: Observation) -> bool:
    return observation.mode.grating == "PRISM"


def _sca(observation: Observation, x: float | np.ndarray, y: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixel of the window to the pixel that the chip counts: NRS2 is mounted upside down."""
    column, row = x + observation.subarray.start[0] - 1, y + observation.subarray.start[1] - 1
    if observation.detector.name == "NRS2":
        last = observation.detector.shape[1] - 1
        column, row = last - column, last - row
    return np.asarray(column), np.asarray(row)


def _middle_row(observation: Observation) -> float:
    return observation.shape[0] / 2


def _grooves_per_m(observation: Observation) -> float:
    """The density with which the middle wavelength leaves along the axis."""
    lam = np.asarray(observation.mode.orders[0].wavelength_um.y) * 1e-6
    return float(ALPHA_IN / lam.mean())


def _alpha_in(observation: Observation) -> float:
    """Direction cosine of the light that comes from the slit."""
    if not _is_prism(observation):
        return ALPHA_IN
    index = refractive_index(np.array(np.mean(observation.mode.orders[0].wavelength_um.y)))
    return float(np.sin(2 * np.deg2rad(APEX_DEG)) * index)  # the middle wavelength leaves along the axis


def _alpha_out(observation: Observation, lam_um: np.ndarray) -> np.ndarray:
    alpha_in = _alpha_in(observation)
    if not _is_prism(observation):
        return lam_um * 1e-6 * _grooves_per_m(observation) - alpha_in
    twice = 2 * np.deg2rad(APEX_DEG)
    index = refractive_index(np.clip(lam_um, *PRISM_RANGE_UM))
    return np.sin(twice) * np.sqrt(index**2 - alpha_in**2) - alpha_in * np.cos(twice)
