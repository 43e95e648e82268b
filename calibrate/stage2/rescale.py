"""Extracted spectra in other units."""

from dataclasses import replace

import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.calibrate.references.photom import Photom
from uptheramp.calibrate.state import Spectra

JY_PER_MJY = 1e6


def times(plane: Float[Array, "integration element"], by: Float[Array, "*#integration element"]) -> Array:
    """Multiply; NaN stays NaN, with no gradient."""
    finite = jnp.isfinite(plane)
    return jnp.where(finite, jnp.where(finite, plane, 0) * by, jnp.nan)


def scaled_by(spectra: Spectra, factor: Float[Array, "*#integration wavelength"]) -> Spectra:
    """Multiply fluxes by `factor`, variances by its square, covariances by those of both elements; NaN stays NaN."""
    s, square = spectra, factor**2
    of_pairs = factor[..., s.pairs[:, 0]] * factor[..., s.pairs[:, 1]]
    return replace(
        s,
        flux=times(s.flux, factor),
        background=times(s.background, factor),
        var_poisson=times(s.var_poisson, square),
        var_rnoise=times(s.var_rnoise, square),
        var_flat=times(s.var_flat, square),
        covariance=times(s.covariance, of_pairs),
        shared=None if s.shared is None else s.shared * factor[:, None],
    )


def in_jansky(spectra: Spectra, photom: Photom | None) -> Spectra:
    """Flux density (Jy) of spectra summed from images in MJy, or in MJy/sr where the solid angle of a pixel is known.

    Others, count rates above all, are left as they are.
    """
    if spectra.unit == "MJy":
        factor = JY_PER_MJY
    elif spectra.unit == "MJy/sr" and photom is not None and photom.pixel_sr is not None:
        factor = JY_PER_MJY * photom.pixel_sr
    else:
        return spectra
    area = None if photom is None else photom.pixel_sr
    return replace(scaled_by(spectra, jnp.full_like(spectra.flux[0], factor)), unit="Jy", pixel_sr=area)
