"""What the official extraction of SOSS takes its orders apart with: BKG, PASTASOSS, SPECPROFILE, SPECKERNEL.

BKG holds the shape of the sky; PASTASOSS the traces, wavelengths as polynomials of the column, and the throughputs;
SPECPROFILE the profile of each order across the dispersion; SPECKERNEL the line spread, in pixels, oversampled. The
pupil wheel counts as where it was commanded: a turn of it is in the traces as they were measured. All come from the
mode's own tables and from the simulator's own profiles.
"""

import numpy as np
from scipy.ndimage import shift

from uptheramp.calibrate.instruments.core import Order
from uptheramp.calibrate.references.carried import Carried
from uptheramp.simulate.calibration.dispersion import lit_px
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics import spectrograph, trace
from uptheramp.simulate.ramps.geometry import WHEELS
from uptheramp.simulate.ramps.render import Constants

WAVELENGTH_DEGREE = 9  # of the column; leaves less than a tenth of a pixel
WHEEL_DEG = WHEELS["NIS_SOSS"]["pupil_wheel_deg"]
WHEEL_TOLERANCE_DEG = 0.25
WAVELENGTHS_UM = (0.5, 5.5, 5001)
SOSS_ROWS = 300  # of the detector's top, in which the official pipeline draws wavelength maps
FIRST_ROW = 1792  # of SUBSTRIP256, in which traces are given
SEPARATION_UM = [0.77, 0.95]  # where order 2 is taken apart from order 1; the official default
KERNEL_HALF_PX, KERNEL_SAMPLES = 12, 10
KERNEL_WAVELENGTHS = 95
PROFILE_REACH_PX = 25.0  # from the trace; the official estimate takes all beyond 1e-4 of another order for spoilt
SKY_S = 20_000.0  # of empty sky in the programme


def background(observation: Observation, constants: Constants, rng: np.random.Generator | None) -> Carried:
    """BKG: the sky as it is before the flat is divided out, DN/s, with the photon noise of SKY_S; scaled when used."""
    sky = np.asarray(constants.background * np.where(constants.maps.flat > 0, constants.maps.flat, 1), float)
    if rng is not None:
        sky = sky + rng.standard_normal(sky.shape) * np.sqrt(sky / SKY_S)
    data = (sky / np.asarray(constants.maps.gain)).astype(np.float32)
    return Carried("SossBkgModel", {"data": data[None]}, ending="fits", window=True)


def pastasoss(observation: Observation) -> Carried:
    """Traces, wavelengths and throughputs of the orders."""
    o = observation
    traces, solutions, throughputs = [], [], []
    grid = np.linspace(WAVELENGTHS_UM[0], WAVELENGTHS_UM[1], 501)
    for order in o.mode.orders:
        x = lit_px(order, o.subarray.size[0])
        y = np.interp(x, order.trace_px.x, order.trace_px.y) + o.subarray.start[1] - 1 - FIRST_ROW
        pivot = {"pivot_x": float(x.mean()), "pivot_y": float(y.mean())}
        common = {"spectral_order": order.number, "oversampling": 1}
        traces.append({**common, **pivot, "cutoff": int(x[-1]) + 1, "trace": np.stack([x, y], axis=1)})
        solutions.append({"spectral_order": order.number, **_polynomial(x, trace.wavelength(order, x))})
        efficiency = np.interp(grid, order.throughput.x, order.throughput.y, left=0.0, right=0.0)
        throughputs.append({"spectral_order": order.number, "wavelength": grid, "throughput": efficiency})
    meta = {
        "order2_separation_cutoff": SEPARATION_UM,
        "pwcpos_bounds": [WHEEL_DEG - WHEEL_TOLERANCE_DEG, WHEEL_DEG + WHEEL_TOLERANCE_DEG],
        "pwcpos_cmd": WHEEL_DEG,
        "soss_xdim": o.detector.shape[1],
        "soss_ydim": SOSS_ROWS,
        "subarray_ymin": FIRST_ROW,
        "wavemap_wlmin": WAVELENGTHS_UM[0],
        "wavemap_wlmax": WAVELENGTHS_UM[1],
        "wavemap_nwl": WAVELENGTHS_UM[2],
    }
    attributes = {f"meta.{name}": value for name, value in meta.items()}
    return Carried(
        "PastasossModel", {}, attributes | {"traces": traces, "wavecal_models": solutions, "throughputs": throughputs}
    )


def specprofile(observation: Observation, truth: Observation, constants: Constants) -> Carried:
    """Profiles across the dispersion, displaced as the believed traces are from the true ones.

    They are cut at PROFILE_REACH_PX from the trace and have unit sum in a column: the wide wings are left out.
    """
    pairs = zip(observation.mode.orders, truth.mode.orders, constants.spectra, strict=True)
    profiles = [_believed_profile(np.asarray(s.profile, float), mine, true) for mine, true, s in pairs]
    numbers = [order.number for order in observation.mode.orders]

    def single(number: int, image: np.ndarray) -> dict:
        return {"order": number, "oversampling": 1, "padding": 0, "data": image.astype(np.float32)}

    return Carried("SpecProfileModel", {}, {"profile": list(map(single, numbers, profiles))}, "fits", window=True)


def speckernel(observation: Observation, scale: float = 1.0) -> Carried:
    """Line spread of the first order by wavelength, constant beyond its ends: a Gaussian in pixels, unit sum.

    `scale` multiplies its width.
    """
    order = observation.mode.orders[0]
    lam = np.linspace(WAVELENGTHS_UM[0], WAVELENGTHS_UM[1], KERNEL_WAVELENGTHS)
    x = lit_px(order, observation.subarray.size[0])
    own = trace.wavelength(order, x)
    by_wavelength = np.argsort(own)
    sigma = scale * np.interp(lam, own[by_wavelength], spectrograph.line_sigma_px(order, x)[by_wavelength])
    width = KERNEL_SAMPLES * 2 * KERNEL_HALF_PX + 1
    distance = (np.arange(width) - width // 2)[:, None] / KERNEL_SAMPLES
    kernel = np.exp(-0.5 * (distance / sigma) ** 2)
    content = {
        "wavelengths": np.broadcast_to(lam, kernel.shape).astype(np.float32).copy(),
        "kernels": (kernel / kernel.sum(0)).astype(np.float32),
    }
    meta = {"nwave": KERNEL_WAVELENGTHS, "wavemin": WAVELENGTHS_UM[0], "wavemax": WAVELENGTHS_UM[1]}
    meta |= {"spectral_oversampling": KERNEL_SAMPLES, "halfwidth": KERNEL_HALF_PX, "centroid_index": width // 2}
    return Carried("SpecKernelModel", content, {f"meta.{name}": value for name, value in meta.items()}, "fits")


def _polynomial(x: np.ndarray, lam: np.ndarray) -> dict:
    """Wavelength as the reference has it: powers of the scaled column and of the wheel's offset, the latter all zero.

    The powers of total degree k stand from k (k + 1) / 2 on, that of the column first.
    """
    scaled = (x - x[0]) / (x[-1] - x[0])
    pure = np.polynomial.Polynomial.fit(scaled, lam, WAVELENGTH_DEGREE).convert().coef
    degree = np.arange(WAVELENGTH_DEGREE + 1)
    coefficients = np.zeros((WAVELENGTH_DEGREE + 1) * (WAVELENGTH_DEGREE + 2) // 2)
    coefficients[degree * (degree + 1) // 2] = pure
    extents = [[float(x[0]), -WHEEL_TOLERANCE_DEG], [float(x[-1]), WHEEL_TOLERANCE_DEG]]
    return {"coefficients": coefficients.tolist(), "polynomial_degree": WAVELENGTH_DEGREE, "scale_extents": extents}


def _believed_profile(profile: np.ndarray, mine: Order, true: Order) -> np.ndarray:
    moved = shift(profile, (float(np.mean(np.subtract(mine.trace_px.y, true.trace_px.y))), 0.0), order=1)
    centre = np.interp(np.arange(moved.shape[-1]), mine.trace_px.x, mine.trace_px.y)
    near = np.where(np.abs(np.arange(len(moved))[:, None] - centre) <= PROFILE_REACH_PX, moved, 0.0)
    total = near.sum(0)
    return near / np.where(total > 0, total, 1.0)
