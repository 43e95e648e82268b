"""Spectra of an exposure as light curves: times of what was really read, white light, channels."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.instruments.core import Order
from uptheramp.calibrate.io.exposure import Exposure
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.io.times import mean_group_time
from uptheramp.calibrate.kernels.readout import read_offset_s
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.pastasoss import Pastasoss
from uptheramp.calibrate.references.target import Target
from uptheramp.calibrate.stage3.band import band
from uptheramp.calibrate.stage3.bins import of_orders
from uptheramp.calibrate.stage3.channels import channels
from uptheramp.calibrate.stage3.combine import combine, points
from uptheramp.calibrate.stage3.white_light import white_light
from uptheramp.calibrate.state import LightCurves, Photometry, Spectra

Aperture = Extract1d | Pastasoss | Target  # tells where on the detector the light is that was summed


class Timing(NamedTuple):
    """When the points of a light curve were taken."""

    time: Float[np.ndarray, "integration"]  # BJD_TDB - 2400000.5 d, mean of the groups, for a pixel read last
    exposure_s: float  # from the first group to the last
    offset_s: Float[np.ndarray, "dispersion"]  # of the middle of the aperture, relative to `time` (<= 0)


class Binning(NamedTuple):
    """Channels: the weight of each dispersion pixel in each, and their edges in micron."""

    weights: Float[np.ndarray, "channel dispersion"]
    edges_um: Float[np.ndarray, "channel 2"]


def aperture_of(library: Mapping[str, Any]) -> Aperture | None:
    """The reference that tells where the spectra or the star lie; None where the library has none.

    EXTRACT1D comes last: steps of Stage 1 take it in modes whose light curves have an aperture of another kind.
    """
    return next((library[name] for name in ("pastasoss", "target", "extract1d") if library.get(name) is not None), None)


def plain_timing(exposure: Exposure, dispersion_pixels: int) -> Timing:
    """Times of an exposure whose aperture is not known: all wavelengths as if read at the middle of a frame."""
    meta = exposure.meta
    offset_s = np.full(dispersion_pixels, -meta.frame_time_s / 2)
    return Timing(mean_group_time(exposure.int_times, meta), _length_s(meta), offset_s)


def _length_s(meta: ExposureMeta) -> float:
    """From the first group to the last."""
    return max(meta.ngroups - 1, 1) * meta.group_time_s


def timing(exposure: Exposure, aperture: Aperture) -> Timing:
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
    time = mean_group_time(exposure.int_times, meta)
    if isinstance(aperture, Target):
        return Timing(time, _length_s(meta), np.array([offset[aperture.pixel] - meta.frame_time_s]))
    across = offset if aperture.dispersion_axis == 1 else offset.T
    middle = aperture.middle_px(across.shape[1])
    pixel = np.arange(len(middle)) % across.shape[1]  # of each order in turn
    row = np.clip(np.rint(middle), 0, len(across) - 1).astype(int)
    offset_s = across[row, pixel] - meta.frame_time_s
    return Timing(time, _length_s(meta), offset_s)


def usable_range(
    spectra: Spectra, range_um: tuple[float, float], orders: Sequence[Order] = ()
) -> Float[np.ndarray, "dispersion"]:
    """Wavelengths of the dispersion pixels inside a range and inside the useful range of their order, NaN outside.

    Raises
    ------
    InputError
        If fewer than two lie inside.
    """
    wavelength, order = np.asarray(spectra.wavelength_um, float), np.asarray(spectra.order)
    inside = (wavelength >= range_um[0]) & (wavelength <= range_um[1])
    for one in orders:
        if one.useful_range_um is not None:
            low, high = one.useful_range_um or (np.inf, -np.inf)
            inside &= (order != one.number) | ((wavelength >= low) & (wavelength < high))
    counts = [np.sum(inside & (order == number)) for number in np.unique(order)]
    if max(counts) < 2:
        raise InputError(
            f"no spectrum between {range_um[0]} and {range_um[1]} micron (it covers {np.nanmin(wavelength):.2f} to "
            f"{np.nanmax(wavelength):.2f}); give another range"
        )
    return np.where(inside, wavelength, np.nan)


def bin_channels(
    spectra: Spectra,
    when: Timing,
    resolving_power: float,
    range_um: tuple[float, float],
    orders: Sequence[Order] = (),
) -> tuple[LightCurves, Binning]:
    """Channels of constant resolving power, none of two orders, and the weights that made them; one of photometry.

    `orders` are those of the mode, whose useful ranges hold beside `range_um`.
    """
    if isinstance(spectra, Photometry):
        curves, weights, edges = band(spectra, range_um, *when)
        return curves, Binning(np.asarray(weights), np.asarray(edges))
    wavelength = usable_range(spectra, range_um, orders)
    bins = of_orders(wavelength, np.asarray(spectra.order), resolving_power=resolving_power)
    curves, weights = channels(spectra, bins, *when)
    return curves, Binning(np.asarray(weights), bins.edges_um)


def rebin(spectra: Spectra, when: Timing, binning: Binning) -> LightCurves:
    """Other spectra of the same exposure (the noise-free twin's) in channels of given weights."""
    return combine(points(spectra), binning.weights, binning.edges_um, *when)


def white(spectra: Spectra, when: Timing, range_um: tuple[float, float]) -> tuple[LightCurves, tuple[int, ...]]:
    """The light of all wavelengths inside the range, a channel for each order, and the orders' numbers."""
    curves, weights = white_light(spectra, *when, min_wavelength=range_um[0], max_wavelength=range_um[1])
    return curves, tuple(np.asarray(spectra.order)[np.asarray(weights).argmax(1)].tolist())
