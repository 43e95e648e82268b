"""Spectra binned into light curves of wavelength channels."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.calibrate.kernels.aperture import ratio
from uptheramp.calibrate.stage3.bins import Bins, membership
from uptheramp.calibrate.stage3.combine import combine, points
from uptheramp.calibrate.state import LightCurves, Spectra


@eqx.filter_jit
def channels(
    spectra: Spectra,
    bins: Bins,
    time: Float[Array, "time"],
    exposure_s: Float[Array, ""],
    time_offset_s_per_pixel: Float[Array, "wavelength"],
) -> tuple[LightCurves, Float[Array, "channel wavelength"]]:
    """Bin spectra into channels; returns light curves and the weights that made them.

    Weights are `F / V`, the medians over time of flux and variance: counts where Poisson noise rules, less where read
    noise does, which is optimal for a depth that all pixels of a channel share. They are scaled to `sum w F = 1`, so
    that the median flux is about 1, and 0 where the typical flux is not positive. They are held fixed in gradients.
    `time` is BJD_TDB - 2400000.5 (d), `time_offset_s_per_pixel` when each dispersion pixel is read after it.
    """
    seen = points(spectra)
    members = membership(spectra.wavelength_um, spectra.order, bins)
    bright = (seen.typical_flux > 0) & (seen.typical_variance > 0)
    raw = members * jnp.where(bright, ratio(seen.typical_flux, seen.typical_variance), 0)
    weights = ratio(raw, jnp.sum(raw * seen.typical_flux, 1, keepdims=True))
    edges = jnp.asarray(bins.edges_um, float)
    return combine(seen, weights, edges, time, exposure_s, time_offset_s_per_pixel), weights
