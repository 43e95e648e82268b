"""Give each pixel its wavelength."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp

from uptheramp.calibrate import flags
from uptheramp.calibrate.references.wavemap import Wavemap
from uptheramp.calibrate.state import Rates
from uptheramp.calibrate.step import step


class AssignWcsRefs(eqx.Module):
    """What assign_wcs takes from the library."""

    wavemap: Wavemap


@step(cite="jwst 3.0.0 assign_wcs, its optical models tabulated per pixel")
def assign_wcs(state: Rates, refs: AssignWcsRefs, params: None) -> tuple[Rates, None]:
    """Set `wavelength_um` (micron, y x); pixels without light of the order are NON_SCIENCE, still good as background.

    Time series are of point sources: what the official srctype decides is implied here.
    """
    wavelength = jnp.asarray(refs.wavemap.wavelength_um, state.data.dtype)
    dark = jnp.where(jnp.isnan(wavelength), flags.NON_SCIENCE, 0).astype(state.dq.dtype)
    return replace(state, wavelength_um=wavelength, dq=state.dq | dark), None
