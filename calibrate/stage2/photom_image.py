"""From count rates of images to surface brightness."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp

from uptheramp.calibrate.references.photom_image import PhotomImage
from uptheramp.calibrate.stage2.photom import PhotomParams
from uptheramp.calibrate.stage2.usable import scale
from uptheramp.calibrate.state import Rates
from uptheramp.calibrate.step import step


class PhotomRefs(eqx.Module):
    """What photom takes from the library; without a table the data stay in DN/s."""

    photom: PhotomImage | None


@step(cite="jwst 3.0.0 photom (imaging)")
def photom(state: Rates, refs: PhotomRefs, params: PhotomParams) -> tuple[Rates, None]:
    """Multiply by the filter's `conversion / fade`."""
    if refs.photom is None:
        return state, None
    fade = refs.photom.fade if params.apply_time_correction else 1
    factor = jnp.full(state.data.shape[-2:], refs.photom.conversion / fade, state.data.dtype)
    return replace(scale(state, factor), unit=refs.photom.unit), None
