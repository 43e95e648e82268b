"""Spectra of an exposure as light curves: times of what was really read, white light, channels."""

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.io.exposure import Exposure
from uptheramp.calibrate.io.times import mean_group_time
from uptheramp.calibrate.kernels.readout import read_offset_s
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage3.channels import channels, edges_for
from uptheramp.calibrate.state import LightCurves, Spectra


def read_offsets(exposure: Exposure, aperture: Extract1d) -> Float[np.ndarray, "dispersion"]:
    """When the middle of the aperture is read at each dispersion pixel, s, relative to the end of the frame (<= 0)."""
    meta, subarray = exposure.meta, exposure.subarray
    detector = lookup.detector(exposure.instrument, meta.detector)
    offset = read_offset_s(
        meta.shape,
        meta.fast_axis,
        meta.slow_axis,
        meta.outputs,
        subarray.row_overhead_clocks,
        meta.frame_time_s,
        interleaved=detector.interleaved,
    )
    across = offset if aperture.dispersion_axis == 1 else offset.T
    pixel = np.arange(across.shape[1])
    middle = (np.polyval(aperture.lower[::-1], pixel) + np.polyval(aperture.upper[::-1], pixel)) / 2
    row = np.clip(np.rint(middle), 0, len(across) - 1).astype(int)
    return across[row, pixel] - meta.frame_time_s


def light_curves(
    exposure: Exposure,
    spectra: Spectra,
    aperture: Extract1d,
    resolving_power: float,
    range_um: tuple[float, float],
) -> tuple[LightCurves, Float[np.ndarray, "dispersion"], Float[np.ndarray, "edge"]]:
    """Channels of constant resolving power, with the weight each dispersion pixel had and the edges of the bins.

    Times are the mean times of the groups used; a point integrates from the first to the last group.
    """
    wavelength = np.asarray(spectra.wavelength_um)
    inside = np.isfinite(wavelength) & (wavelength >= range_um[0]) & (wavelength <= range_um[1])
    edges = edges_for(wavelength[inside], resolving_power=resolving_power)
    meta = exposure.meta
    span = (meta.ngroups - 1) * (meta.nframes + meta.groupgap) + meta.nframes
    curves, weights = channels(
        spectra,
        edges,
        mean_group_time(exposure.int_times, meta),
        span * meta.frame_time_s,
        read_offsets(exposure, aperture),
    )
    return curves, np.asarray(weights), edges
