"""Photometry as the light curve of one channel."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.calibrate.kernels.aperture import ratio
from uptheramp.calibrate.stage3.combine import combine, points
from uptheramp.calibrate.state import LightCurves, Photometry


@eqx.filter_jit
def band(
    photometry: Photometry,
    range_um: tuple[float, float],
    time: Float[Array, "time"],
    exposure_s: Float[Array, ""],
    time_offset_s: Float[Array, "one"],
) -> tuple[LightCurves, Float[Array, "one one"], Float[Array, "one 2"]]:
    """Scale the flux to a median of 1; returns light curve, weight and edges of the channel (micron).

    These are the ends of the filter's band, `range_um` where no table knows the filter. Times as in `channels`.
    """
    seen = points(photometry)
    weights = ratio(jnp.ones(1), seen.typical_flux)[None]
    known = jnp.isfinite(photometry.band_um)
    edges = jnp.where(known, photometry.band_um, jnp.asarray(range_um)).astype(float)[None]
    return combine(seen, weights, edges, time, exposure_s, time_offset_s), weights, edges
