"""One diffraction order of a star on the detector: light by wavelength, then by pixel."""

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.instruments.core import Order
from uptheramp.calibrate.kernels.readout import read_offset_s
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics import spectrograph, trace
from uptheramp.simulate.scene import star
from uptheramp.simulate.scene.light_curve import LightCurve, mean_flux
from uptheramp.simulate.scene.system import light_curve_of


class Spectrum(eqx.Module):
    """One order: the light curve and the star on its fine grid, the matrix R, the profile across the dispersion."""

    curve: LightCurve
    photons: Float[Array, "wavelength"]  # / s / m2 / um
    response: spectrograph.Response
    profile: Float[Array, "y x"]
    wavelength_um: Float[Array, "wavelength"]
    along_um: Float[Array, "along"]  # wavelength at the middle of each dispersion element, NaN without light
    dispersion_axis: int = eqx.field(static=True)

    def light(
        self, start_s: Float[Array, "read"], exposure_s: Float[Array, ""]
    ) -> tuple[Float[Array, "read y x"], Float[Array, "along"]]:
        """Rate in each read (e-/s), and the mean rate of the dispersion elements over the reads."""
        flux = mean_flux(self.curve, start_s, exposure_s)
        elements = self.response(flux * self.photons)
        narrow = elements.astype(self.profile.dtype)
        spread = narrow[:, None, :] if self.dispersion_axis == 1 else narrow[:, :, None]
        return self.profile * spread, elements.mean(0)


def spectrum(observation: Observation, order: Order) -> Spectrum:
    """Return an order of the observation's star, made in numpy."""
    o, shape, axis = observation, observation.shape, observation.mode.dispersion_axis
    along = shape[1] if axis == 1 else shape[0]
    fine = spectrograph.grid(order, along)
    lam = fine.wavelength_um
    offset_s = np.interp(fine.position_px, np.arange(along), trace_offset_s(o, order))
    position = np.arange(along, dtype=float)
    return Spectrum(
        curve=light_curve_of(o, lam, offset_s),
        photons=star.photon_rate(o.star, lam),
        response=spectrograph.response(order, fine, along),
        profile=trace.profile(order, shape, axis).astype(np.float32),
        wavelength_um=lam,
        along_um=np.where(trace.covered(order, position), trace.wavelength(order, position), np.nan),
        dispersion_axis=axis,
    )


def trace_offset_s(observation: Observation, order: Order) -> Float[np.ndarray, "along"]:
    """When the pixel at the middle of the trace is read in its frame, for each dispersion element."""
    o, r = observation, observation.readout
    offset = read_offset_s(
        o.shape,
        r.fast_axis,
        r.slow_axis,
        r.outputs,
        o.subarray.row_overhead_clocks,
        o.subarray.frame_time_s,
        o.interleaved,
    )
    along_first = offset if o.mode.dispersion_axis == 2 else offset.T
    count, across = along_first.shape
    centre = np.interp(np.arange(count), order.trace_px.x, order.trace_px.y)
    return along_first[np.arange(count), np.clip(np.round(centre).astype(int), 0, across - 1)]
