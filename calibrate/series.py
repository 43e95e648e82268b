"""Spectra of an exposure as light curves: times of what was really read, white light, channels."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.io.exposure import Exposure
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.io.times import mean_group_time
from uptheramp.calibrate.kernels.readout import read_offset_s
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage3.bins import edges_for
from uptheramp.calibrate.stage3.channels import channels
from uptheramp.calibrate.stage3.combine import combine, points
from uptheramp.calibrate.stage3.white_light import white_light
from uptheramp.calibrate.state import LightCurves, Spectra


class Timing(NamedTuple):
    """When the points of a light curve were taken."""

    time: Float[np.ndarray, "integration"]  # BJD_TDB - 2400000.5 d, mean of the groups, for a pixel read last
    exposure_s: float  # from the first group to the last
    offset_s: Float[np.ndarray, "dispersion"]  # of the middle of the aperture, relative to `time` (<= 0)


class Binning(NamedTuple):
    """Channels: the weight of each dispersion pixel in each, and their edges in micron."""

    weights: Float[np.ndarray, "channel dispersion"]
    edges_um: Float[np.ndarray, "channel 2"]


def plain_timing(exposure: Exposure, dispersion_pixels: int) -> Timing:
    """Times of an exposure whose aperture is not known: all wavelengths as if read at the middle of a frame."""
    meta = exposure.meta
    offset_s = np.full(dispersion_pixels, -meta.frame_time_s / 2)
    return Timing(mean_group_time(exposure.int_times, meta), _length_s(meta), offset_s)


def _length_s(meta: ExposureMeta) -> float:
    """From the first group to the last."""
    return max(meta.ngroups - 1, 1) * meta.group_time_s


def timing(exposure: Exposure, aperture: Extract1d) -> Timing:
    """Times of an exposure from its INT_TIMES and the order in which its pixels are read."""
    meta = exposure.meta
    offset = read_offset_s(
        meta.shape,
        meta.fast_axis,
        meta.slow_axis,
        meta.outputs,
        exposure.subarray.row_overhead_clocks,
        meta.frame_time_s,
        interleaved=lookup.detector(exposure.instrument, meta.detector).kind == "SiAs",
    )
    across = offset if aperture.dispersion_axis == 1 else offset.T
    pixel = np.arange(across.shape[1])
    middle = (np.polyval(aperture.lower[::-1], pixel) + np.polyval(aperture.upper[::-1], pixel)) / 2
    row = np.clip(np.rint(middle), 0, len(across) - 1).astype(int)
    offset_s = across[row, pixel] - meta.frame_time_s
    return Timing(mean_group_time(exposure.int_times, meta), _length_s(meta), offset_s)


def usable_range(spectra: Spectra, range_um: tuple[float, float]) -> Float[np.ndarray, "dispersion"]:
    """Wavelengths of the dispersion pixels inside a range, NaN outside.

    Raises
    ------
    InputError
        If fewer than two lie inside.
    """
    wavelength = np.asarray(spectra.wavelength_um, float)
    inside = np.where((wavelength >= range_um[0]) & (wavelength <= range_um[1]), wavelength, np.nan)
    if np.isfinite(inside).sum() < 2:
        raise InputError(
            f"no spectrum between {range_um[0]} and {range_um[1]} micron (it covers {np.nanmin(wavelength):.2f} to "
            f"{np.nanmax(wavelength):.2f}); give another range"
        )
    return inside


def bin_channels(
    spectra: Spectra, when: Timing, resolving_power: float, range_um: tuple[float, float]
) -> tuple[LightCurves, Binning]:
    """Channels of constant resolving power, and the weights that made them."""
    edges = edges_for(usable_range(spectra, range_um), resolving_power=resolving_power)
    curves, weights = channels(spectra, edges, *when)
    return curves, Binning(np.asarray(weights), np.stack([edges[:-1], edges[1:]], 1))


def rebin(spectra: Spectra, when: Timing, binning: Binning) -> LightCurves:
    """Other spectra of the same exposure (the noise-free twin's) in channels of given weights."""
    return combine(points(spectra), binning.weights, binning.edges_um, *when)


def white(spectra: Spectra, when: Timing, range_um: tuple[float, float]) -> LightCurves:
    """The light of all wavelengths inside the range."""
    return white_light(spectra, *when, min_wavelength=range_um[0], max_wavelength=range_um[1])[0]
