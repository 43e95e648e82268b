"""Make up for the light that a source loses at the edges of its slit."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references.pathloss import Pathloss
from uptheramp.calibrate.references.wavemap import Wavemap
from uptheramp.calibrate.stage2.usable import scale
from uptheramp.calibrate.state import Rates
from uptheramp.calibrate.step import step


class PathlossRefs(eqx.Module):
    """What pathloss takes from the library; without PATHLOSS the data pass unchanged.

    WAVEMAP tells the wavelengths of a uniform source, which wavecorr does not move.
    """

    pathloss: Pathloss | None
    wavemap: Wavemap | None


class PathlossParams(eqx.Module):
    """`user_slit_loc`: how far the source is from the middle of the slit of MIRI, across it (arcsec)."""

    user_slit_loc: float = 0.0


@step(cite="jwst 3.0.0 pathloss")
def pathloss(state: Rates, refs: PathlossRefs, params: PathlossParams) -> tuple[Rates, None]:
    """Divide by what the slit lets through (NIRSpec) or multiply by the factor (MIRI), at each pixel's wavelength.

    Bilinear between the places of the table, then linear between its wavelengths; variances take the square. Where the
    table does not tell (beyond its wavelengths, NaN, nothing let through) pixels with a wavelength are DO_NOT_USE and
    pass as they are. A source outside of the table of NIRSpec is left alone.

    Raises
    ------
    InputError
        If the pixels have no wavelengths, because assign_wcs was left out.
    """
    table = refs.pathloss
    if table is None:
        return state, None
    if state.wavelength_um is None:
        raise InputError("pathloss needs the wavelengths that assign_wcs sets; skip pathloss too")
    vector, told = of_point(table, params.user_slit_loc)
    point, of_pixel = at(state.wavelength_um, table.wavelength_um, vector)
    uniform, chosen, known = None, point, of_pixel
    if table.uniform is not None:
        uniform, known_uniform = at(_unmoved(state, refs), table.uniform_um, table.uniform)
        if table.applied == "uniform":
            chosen, known = uniform, known_uniform
    factor = jnp.where(told & known, chosen if table.multiplies else 1 / chosen, 1)
    lost = told & ~known & jnp.isfinite(state.wavelength_um)
    dq = state.dq | jnp.where(lost, flags.DO_NOT_USE, 0).astype(state.dq.dtype)
    corrected = replace(scale(state, factor.astype(state.data.dtype)), dq=dq)
    return replace(corrected, pathloss_point=point, pathloss_uniform=uniform), None


def of_point(table: Pathloss, across_arcsec: Float[Array, ""]) -> tuple[Float[Array, "knot"], Bool[Array, ""]]:
    """The table at the place of the source, and whether it reaches there (or says what to take otherwise)."""
    cube = jnp.asarray(table.point)
    place = jnp.asarray(table.place_px) + jnp.stack([jnp.zeros(()), across_arcsec * table.row_per_arcsec])
    last = jnp.array([cube.shape[2], cube.shape[1]]) - 1
    inside = jnp.all((place >= 0) & (place < last))
    place = jnp.where(inside, place, 0.0 if table.otherwise_px is None else jnp.asarray(table.otherwise_px))
    column, row = jnp.clip(jnp.floor(place), 0, last - 1).astype(int)
    right, up = place - jnp.stack([column, row])
    low, high = (cube[:, r, column] * (1 - right) + cube[:, r, column + 1] * right for r in (row, row + 1))
    return low * (1 - up) + high * up, inside | (table.otherwise_px is not None)


def at(
    wavelength_um: Float[Array, "y x"], knots_um: Float[Array, "knot"], values: Float[Array, "knot"]
) -> tuple[Float[Array, "y x"], Bool[Array, "y x"]]:
    """A table at the pixels, and where it tells: inside of its wavelengths, between knots with a positive value."""
    knots = jnp.asarray(knots_um)
    lit = (wavelength_um > knots[0]) & (wavelength_um <= knots[-1])
    where = jnp.where(lit, wavelength_um, knots[-1])
    usable = jnp.isfinite(values) & (values > 0)
    missing = jnp.interp(where, knots, 1.0 - usable) > 0
    known = lit & ~missing
    found = jnp.interp(where, knots, jnp.where(usable, values, 1))
    return jnp.where(known, found, 1).astype(wavelength_um.dtype), known


def _unmoved(state: Rates, refs: PathlossRefs) -> Float[Array, "y x"]:
    assert state.wavelength_um is not None
    if refs.wavemap is None:
        return state.wavelength_um
    return jnp.asarray(refs.wavemap.wavelength_um, state.wavelength_um.dtype)
