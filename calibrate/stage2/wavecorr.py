"""Move the wavelengths to where a point source stands in its slit."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.calibrate.references.wavecorr import Wavecorr
from uptheramp.calibrate.state import Rates
from uptheramp.calibrate.step import step


class WavecorrRefs(eqx.Module):
    """What wavecorr takes from the library; without it wavelengths stay."""

    wavecorr: Wavecorr | None


@step(cite="jwst 3.0.0 wavecorr")
def wavecorr(state: Rates, refs: WavecorrRefs, params: None) -> tuple[Rates, None]:
    """Add the correction at each pixel's wavelength, straight between the knots and beyond them."""
    if refs.wavecorr is None or state.wavelength_um is None:
        return state, None
    lit = jnp.isfinite(state.wavelength_um)
    moved = state.wavelength_um + _at(refs.wavecorr, jnp.where(lit, state.wavelength_um, 1))  # no NaN to derive
    return replace(state, wavelength_um=jnp.where(lit, moved, jnp.nan).astype(state.wavelength_um.dtype)), None


def _at(refs: Wavecorr, wavelength_um: Float[Array, "y x"]) -> Float[Array, "y x"]:
    knots, values = jnp.asarray(refs.wavelength_um), jnp.asarray(refs.correction_um)
    which = jnp.clip(jnp.searchsorted(knots, wavelength_um), 1, len(knots) - 1)
    slope = jnp.diff(values)[which - 1] / jnp.diff(knots)[which - 1]
    return values[which - 1] + slope * (wavelength_um - knots[which - 1])
