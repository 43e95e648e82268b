"""All the light of a point source, from that in its aperture."""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.calibrate.references.apcorr import Apcorr
from uptheramp.calibrate.stage2.rescale import scaled_by
from uptheramp.calibrate.state import Spectra


def factor(
    apcorr: Apcorr, wavelength_um: Float[Array, "element"], size_px: Float[Array, "integration element"]
) -> Float[Array, "integration element"]:
    """Interpolate linearly in wavelength, then in size; sizes beyond the table take its ends, NaN wavelengths 1."""
    knots = jnp.asarray(apcorr.wavelength_um)
    known = jnp.isfinite(wavelength_um)
    at = jnp.where(known, wavelength_um, knots[0])
    if not apcorr.continued:
        known = known & (at >= knots[0]) & (at <= knots[-1])

    def of_wavelength(planes: Float[Array, "size knot"]) -> Float[Array, "size element"]:
        return jax.vmap(lambda plane: jnp.interp(at, knots, plane))(jnp.asarray(planes))

    columns = jax.vmap(jnp.interp, in_axes=1, out_axes=1)
    found = columns(size_px, of_wavelength(apcorr.size_px), of_wavelength(apcorr.factor))
    return jnp.where(known, found, 1).astype(size_px.dtype)


def corrected(spectra: Spectra, apcorr: Apcorr, size_px: Float[Array, "integration element"]) -> Spectra:
    """Multiply fluxes by the factor of so many pixels, variances by its square.

    Parity: the background stays what it was in the aperture. Shared noise, the same in all integrations, takes the
    factor of the whole aperture.
    """
    by = factor(apcorr, spectra.wavelength_um, size_px)
    s, shared = spectra, spectra.shared
    if shared is not None:
        shared = shared * factor(apcorr, s.wavelength_um, s.npixels[None].astype(by.dtype))[0][:, None]
    return replace(scaled_by(replace(s, shared=None), by), background=s.background, shared=shared)
