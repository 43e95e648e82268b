"""What the official extraction of SOSS takes its orders apart with: BKG, PASTASOSS, SPECPROFILE, SPECKERNEL.

BKG holds the shape of the sky; PASTASOSS the traces, wavelengths as polynomials of the column, and the throughputs;
SPECPROFILE the profile of each order across the dispersion; SPECKERNEL the line spread, in pixels, oversampled. The
pupil wheel counts as where it was commanded: a turn of it is in the traces as they were measured. All come from the
mode's own tables and from the simulator's own profiles.
"""

import numpy as np
from scipy.ndimage import shift

from uptheramp.calibrate.instruments.core import Order
from uptheramp.calibrate.references.bkg import Bkg
from uptheramp.calibrate.references.pastasoss import Pastasoss
from uptheramp.calibrate.references.speckernel import Speckernel
from uptheramp.calibrate.references.specprofile import Specprofile
from uptheramp.simulate.calibration.dispersion import lit_px
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics import spectrograph, trace
from uptheramp.simulate.ramps.render import Constants

WAVELENGTHS_UM = (0.5, 5.5)
KERNEL_HALF_PX, KERNEL_SAMPLES = 12, 10
KERNEL_WAVELENGTHS = 95
PROFILE_REACH_PX = 25.0  # from the trace; the official estimate takes all beyond 1e-4 of another order for spoilt
SKY_S = 20_000.0  # of empty sky in the programme


def background(observation: Observation, constants: Constants, rng: np.random.Generator | None) -> Bkg:
    """BKG: the sky as it is before the flat is divided out, DN/s, with the photon noise of SKY_S; scaled when used."""
    sky = np.asarray(constants.background * np.where(constants.maps.flat > 0, constants.maps.flat, 1), float)
    if rng is not None:
        sky = sky + rng.standard_normal(sky.shape) * np.sqrt(sky / SKY_S)
    return Bkg((sky / np.asarray(constants.maps.gain)).astype(np.float32)[None])


def pastasoss(observation: Observation) -> Pastasoss:
    """Traces, wavelengths and throughputs of the orders."""
    o = observation
    column = np.arange(o.subarray.size[0], dtype=float)
    grid = np.linspace(WAVELENGTHS_UM[0], WAVELENGTHS_UM[1], 501)
    traces, wavelengths, throughputs = [], [], []
    for order in o.mode.orders:
        lit = trace.covered(order, column)
        traces.append(np.where(lit, np.interp(column, order.trace_px.x, order.trace_px.y), np.nan))
        wavelengths.append(np.where(lit, trace.wavelength(order, column), np.nan))
        throughputs.append(np.interp(grid, order.throughput.x, order.throughput.y, left=0.0, right=0.0))
    rows, lam, grid, efficiency = (np.asarray(p, np.float32) for p in (traces, wavelengths, grid, throughputs))
    return Pastasoss(rows, lam, grid, efficiency, tuple(order.number for order in o.mode.orders))


def specprofile(observation: Observation, truth: Observation, constants: Constants) -> Specprofile:
    """Profiles across the dispersion, displaced as the believed traces are from the true ones.

    What the official extraction is given ends at PROFILE_REACH_PX from the trace.
    """
    pairs = zip(observation.mode.orders, truth.mode.orders, constants.spectra, strict=True)
    profiles = [_believed_profile(np.asarray(s.profile, float), mine, true) for mine, true, s in pairs]
    narrow = [_near(profile, order) for profile, order in zip(profiles, observation.mode.orders, strict=True)]
    numbers = tuple(order.number for order in observation.mode.orders)
    return Specprofile(np.asarray(profiles, np.float32), numbers, np.asarray(narrow))


def speckernel(observation: Observation, scale: float = 1.0) -> Speckernel:
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
    return Speckernel(lam.astype(np.float32), (kernel / kernel.sum(0)).astype(np.float32), KERNEL_SAMPLES)


def _believed_profile(profile: np.ndarray, mine: Order, true: Order) -> np.ndarray:
    """Move a profile as its trace is believed to be moved."""
    by = float(np.mean(np.subtract(mine.trace_px.y, true.trace_px.y)))
    return shift(profile, (by, 0.0), order=1, mode="nearest") if by else profile


def _near(profile: np.ndarray, order: Order) -> np.ndarray:
    centre = np.interp(np.arange(profile.shape[-1]), order.trace_px.x, order.trace_px.y)
    return (np.abs(np.arange(len(profile))[:, None] - centre) <= PROFILE_REACH_PX) & (profile > 0)
