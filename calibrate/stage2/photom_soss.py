"""From the count rates of extracted SOSS spectra to flux densities."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp

from uptheramp.calibrate import flags
from uptheramp.calibrate.references.photom_soss import PhotomSoss
from uptheramp.calibrate.stage2.photom import PhotomParams
from uptheramp.calibrate.stage2.rescale import scaled_by
from uptheramp.calibrate.state import Spectra
from uptheramp.calibrate.step import step


class PhotomRefs(eqx.Module):
    """What photom takes from the library; without a table the spectra stay in DN/s."""

    photom: PhotomSoss | None


@step(cite="jwst 3.0.0 photom (NIRISS SOSS)")
def photom(state: Spectra, refs: PhotomRefs, params: PhotomParams) -> tuple[Spectra, None]:
    """Multiply each order by its `conversion * response(wavelength) / fade`: MJy.

    Elements outside the table's wavelengths, and orders without a table, become 0 and DO_NOT_USE.
    """
    if refs.photom is None:
        return state, None
    table = refs.photom
    wavelength, factor = state.wavelength_um, jnp.zeros_like(state.wavelength_um)
    for k, number in enumerate(table.order):
        knots = table.wavelength_um[k]
        covered = (state.order == number) & (wavelength >= knots[0]) & (wavelength <= table.last_um[k])
        response = jnp.interp(jnp.where(covered, wavelength, knots[0]), knots, table.response[k])
        fade = table.fade[k] if params.apply_time_correction else 1
        factor = jnp.where(covered, table.conversion[k] * response / fade, factor)
    known = factor != 0
    dq = state.dq | jnp.where(known, 0, flags.DO_NOT_USE).astype(state.dq.dtype)
    return replace(scaled_by(state, factor.astype(state.flux.dtype)), dq=dq, unit="MJy"), None
