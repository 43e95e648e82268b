"""Weighted sums of dispersion pixels into light curves: what channels and the white light share."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.kernels.aperture import ratio
from uptheramp.calibrate.state import LightCurves, Spectra

# a point is used if at least this part of its channel's light was seen
LEAST_SEEN = 0.5


class Points(NamedTuple):
    """Spectra in float64 with unusable points set to 0."""

    flux: Float[Array, "time wavelength"]
    variance: Float[Array, "time wavelength"]
    good: Bool[Array, "time wavelength"]
    typical_flux: Float[Array, "wavelength"]  # median over time
    typical_variance: Float[Array, "wavelength"]


def points(spectra: Spectra) -> Points:
    """Prepare spectra: the variance is Poisson and read noise, since a flat's error is common to all times."""
    flux, poisson, rnoise = (jnp.asarray(x, float) for x in (spectra.flux, spectra.var_poisson, spectra.var_rnoise))
    variance = poisson + rnoise
    good = ((spectra.dq & flags.DO_NOT_USE) == 0) & jnp.isfinite(flux) & jnp.isfinite(variance)
    held = jax.lax.stop_gradient((jnp.where(good, flux, jnp.nan), jnp.where(good, variance, jnp.nan)))
    typical = [jnp.nan_to_num(jnp.nanmedian(x, axis=0)) for x in held]
    return Points(jnp.where(good, flux, 0), jnp.where(good, variance, 0), good, *typical)


def combine(
    seen: Points,
    weights: Float[Array, "channel wavelength"],
    edges: Float[Array, "channel 2"],
    time: Float[Array, "time"],
    exposure_s: Float[Array, ""],
    time_offset_s: Float[Array, "wavelength"],
) -> LightCurves:
    """Light curves `sum w f / s`, errors `sqrt(sum w^2 v) / s`.

    s is the part of the channel's typical light, `sum w F`, whose points are usable at that time: 1 unless some are
    missing. Points with s < 0.5, and channels without light, are NaN.
    """
    light = weights * seen.typical_flux
    total = jnp.sum(light, 1)[:, None]
    share = ratio(light @ seen.good.T.astype(float), total)
    used = share >= LEAST_SEEN
    safe = jnp.where(used, share, 1)
    variance = weights**2 @ seen.variance.T
    positive = used & (variance > 0)
    flux = jnp.where(used, weights @ seen.flux.T / safe, jnp.nan)
    err = jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1)) / safe, jnp.nan)
    return LightCurves(
        time=jnp.asarray(time, float),
        exposure_s=jnp.asarray(exposure_s, float),
        flux=flux,
        err=err,
        wavelength_um=jnp.mean(edges, 1),
        half_width_um=(edges[:, 1] - edges[:, 0]) / 2,
        time_offset_s=ratio(light @ jnp.asarray(time_offset_s, float), total[:, 0]),
    )
