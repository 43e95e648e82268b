"""From count rates to physical units."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references.photom import Photom
from uptheramp.calibrate.stage2.usable import scale
from uptheramp.calibrate.state import Rates
from uptheramp.calibrate.step import step


class PhotomRefs(eqx.Module):
    """What photom takes from the library; without a table the data stay in DN/s."""

    photom: Photom | None


class PhotomParams(eqx.Module):
    """`apply_time_correction`: whether the table's change with time is taken into account."""

    apply_time_correction: bool = eqx.field(static=True, default=True)


@step(cite="jwst 3.0.0 photom")
def photom(state: Rates, refs: PhotomRefs, params: PhotomParams) -> tuple[Rates, None]:
    """Multiply by `conversion * response(wavelength) / fade`, over micron per pixel where the table is per micron.

    Pixels outside the table's wavelengths become 0 and DO_NOT_USE.

    Raises
    ------
    InputError
        If the pixels have no wavelengths, because assign_wcs was left out.
    """
    if refs.photom is None:
        return state, None
    table, wavelength = refs.photom, state.wavelength_um
    if wavelength is None:
        raise InputError("photom needs the wavelengths that assign_wcs sets; skip photom too")
    lit = (wavelength >= table.wavelength_um[0]) & (wavelength <= table.wavelength_um[-1])
    at = jnp.where(lit, wavelength, table.wavelength_um[0])
    conversion = table.conversion / table.fade if params.apply_time_correction else table.conversion
    factor = conversion * jnp.interp(at, table.wavelength_um, table.response)
    if table.per_micron:
        step_um = dispersion(wavelength)
        lit &= step_um > 0
        factor = factor / jnp.where(lit, step_um, 1)
    factor = jnp.where(lit, factor, 0).astype(state.data.dtype)
    dq = state.dq | jnp.where(lit, 0, flags.DO_NOT_USE).astype(state.dq.dtype)
    return replace(scale(state, factor), dq=dq, unit=table.unit), None


def dispersion(wavelength_um: Float[Array, "y x"]) -> Float[Array, "y x"]:
    """Measure how fast the wavelength changes, micron per pixel: central differences, one-sided at edges, 0 alone."""
    along_y, along_x = _slope(wavelength_um, 0), _slope(wavelength_um, 1)
    square = along_y**2 + along_x**2
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


def _slope(image: Float[Array, "y x"], axis: int) -> Float[Array, "y x"]:
    """Differentiate along an axis from the neighbours that are not NaN; 0 where there is none."""
    lit = jnp.isfinite(image)
    value = jnp.where(lit, image, 0)
    step = jnp.diff(value, axis=axis)
    n = image.shape[axis]
    both = jax.lax.slice_in_dim(lit, 0, n - 1, axis=axis) & jax.lax.slice_in_dim(lit, 1, n, axis=axis)
    first, last = [(1, 0) if k == axis else (0, 0) for k in (0, 1)], [(0, 1) if k == axis else (0, 0) for k in (0, 1)]
    step = jnp.where(both, step, 0)
    total = jnp.pad(step, first) + jnp.pad(step, last)
    count = jnp.pad(both, first).astype(value.dtype) + jnp.pad(both, last)
    return total / jnp.maximum(count, 1)
