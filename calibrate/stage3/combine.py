"""Weighted sums of dispersion pixels into light curves: what channels and the white light share."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

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
    shared: Float[Array, "wavelength factor"]  # factors of what elements share, as in Spectra
    pairs: Int[Array, "pair 2"]
    typical_covariance: Float[Array, "pair"]


def points(spectra: Spectra) -> Points:
    """Prepare spectra: the variance is Poisson and read noise, since a flat's error is common to all times."""
    flux, poisson, rnoise = (jnp.asarray(x, float) for x in (spectra.flux, spectra.var_poisson, spectra.var_rnoise))
    variance = poisson + rnoise
    good = ((spectra.dq & flags.DO_NOT_USE) == 0) & jnp.isfinite(flux) & jnp.isfinite(variance)
    held = jax.lax.stop_gradient((jnp.where(good, flux, jnp.nan), jnp.where(good, variance, jnp.nan)))
    light, noise = (jnp.nan_to_num(jnp.nanmedian(x, axis=0)) for x in held)
    of_pairs = jnp.nan_to_num(jnp.nanmedian(jax.lax.stop_gradient(jnp.asarray(spectra.covariance, float)), axis=0))
    shared = jnp.zeros((flux.shape[1], 0)) if spectra.shared is None else jnp.asarray(spectra.shared, float)
    return Points(
        jnp.where(good, flux, 0), jnp.where(good, variance, 0), good, light, noise, shared, spectra.pairs, of_pairs
    )


def covariance(seen: Points, weights: Float[Array, "channel wavelength"]) -> Float[Array, "channel channel"]:
    """Covariance of simultaneous points of the channels, with typical variances: sum_ij w_i w_j C_ij.

    C is the variances on the diagonal; off it, what elements share and what two orders of a column do.
    """
    own = seen.typical_variance - jnp.sum(seen.shared**2, 1)
    pulled = weights @ seen.shared
    first, second = (weights[:, seen.pairs[:, k]] for k in (0, 1))
    crossed = (first * seen.typical_covariance) @ second.T
    return (weights * own) @ weights.T + pulled @ pulled.T + crossed + crossed.T


def combine(
    seen: Points,
    weights: Float[Array, "channel wavelength"],
    edges: Float[Array, "channel 2"],
    time: Float[Array, "time"],
    exposure_s: Float[Array, ""],
    time_offset_s: Float[Array, "wavelength"],
) -> LightCurves:
    """Light curves `sum w f / s`, errors `sqrt(w^T C w) / s`, C the variances and what elements share.

    s is the part of the channel's typical light, `sum w F`, whose points are usable at that time: 1 unless some are
    missing. Points with s < 0.5, and channels without light, are NaN.
    """
    light = weights * seen.typical_flux
    total = jnp.sum(light, 1)[:, None]
    share = ratio(light @ seen.good.T.astype(float), total)
    used = share >= LEAST_SEEN
    safe = jnp.where(used, share, 1)
    together = covariance(seen, weights)
    beside = jnp.diagonal(together) - weights**2 @ seen.typical_variance  # what is off the diagonal of C
    variance = weights**2 @ seen.variance.T + beside[:, None]
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
        covariance=together,
    )
