"""The light of all wavelengths together, against time."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.stage3.combine import combine, points
from uptheramp.calibrate.state import LightCurves, Spectra


def white_light(
    spectra: Spectra,
    time: Float[Array, "time"],
    exposure_s: Float[Array, ""],
    time_offset_s_per_pixel: Float[Array, "wavelength"],
    *,
    min_wavelength: float = -np.inf,
    max_wavelength: float = np.inf,
) -> tuple[LightCurves, Float[Array, "channel wavelength"]]:
    """Sum the flux between two wavelengths (micron, both included): a channel for each order, in the spectra's unit.

    As the official step, but the light of missing points is restored from the median spectrum. Returns the weights too
    (1 inside, 0 outside).
    """
    wavelength, order = np.asarray(spectra.wavelength_um, np.float64), np.asarray(spectra.order)
    inside = (wavelength >= min_wavelength) & (wavelength <= max_wavelength)
    if not inside.any():
        raise ValueError(f"no dispersion pixel lies between {min_wavelength} and {max_wavelength} micron")
    members = inside & (order == np.unique(order[inside])[:, None])
    weights = jnp.asarray(members, float)
    edges = jnp.asarray([[wavelength[mine].min(), wavelength[mine].max()] for mine in members])
    return combine(points(spectra), weights, edges, time, exposure_s, time_offset_s_per_pixel), weights
