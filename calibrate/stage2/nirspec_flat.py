"""Remove NIRSpec's response: fore optics, spectrograph and detector, at the wavelength of each pixel."""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt32

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels.aperture import ratio
from uptheramp.calibrate.references.nirspec_flat import NirspecFlat
from uptheramp.calibrate.stage2.flat_field import divided
from uptheramp.calibrate.state import Rates
from uptheramp.calibrate.step import step

UNKNOWN = flags.NO_FLAT_FIELD | flags.DO_NOT_USE
BAD = UNKNOWN | flags.UNRELIABLE_FLAT
# abscissae (of the width of a pixel) and weights of Gauss-Legendre quadrature by three points
GAUSS = tuple(zip((-np.sqrt(0.15), 0.0, np.sqrt(0.15)), (5 / 18, 8 / 18, 5 / 18), strict=True))


class FlatFieldRefs(eqx.Module):
    """What flat_field takes from the library; without any flat the data pass unchanged."""

    fflat: NirspecFlat | None
    sflat: NirspecFlat | None
    dflat: NirspecFlat | None


class Response(NamedTuple):
    """A flat at the pixels of the window, with its standard error and its flags."""

    data: Float[Array, "y x"]
    err: Float[Array, "y x"]
    dq: UInt32[Array, "y x"]


@step(cite="jwst 3.0.0 flat_field (NIRSpec)")
def flat_field(state: Rates, refs: FlatFieldRefs, params: None) -> tuple[Rates, None]:
    """Divide by the product of the components' flats; variances by its square, `var_flat += (d / f^2)^2 err_f^2`.

    Pixels whose wavelength a component does not cover, or that are flagged in one, are NO_FLAT_FIELD | DO_NOT_USE |
    UNRELIABLE_FLAT and pass undivided. Pixels without a wavelength are left to the slow images.

    Raises
    ------
    InputError
        If the pixels have no wavelengths, because assign_wcs was left out.
    """
    components = [flat for flat in (refs.fflat, refs.sflat, refs.dflat) if flat is not None]
    if not components:
        return state, None
    if state.wavelength_um is None:
        raise InputError("flat_field needs the wavelengths that assign_wcs sets; skip flat_field too")
    response = combined([component(flat, state.wavelength_um) for flat in components])
    return divided(state, *response, (response.dq & flags.DO_NOT_USE) == 0), None


def combined(components: Sequence[Response]) -> Response:
    """Multiply the components; relative errors add in quadrature."""
    data, relative, dq = jnp.ones(()), jnp.zeros(()), jnp.zeros((), jnp.uint32)
    for one in components:
        data, dq = data * one.data, dq | one.dq
        relative = relative + ratio(one.err, one.data) ** 2
    dq = dq | jnp.where(data <= 0, BAD, 0).astype(dq.dtype)
    dq = dq | jnp.where((dq & UNKNOWN) != 0, BAD, 0).astype(dq.dtype)
    known = (dq & flags.DO_NOT_USE) == 0
    # the error's root has no derivative where nothing is in error
    err = jnp.where(relative > 0, data * jnp.sqrt(jnp.where(relative > 0, relative, 1)), 0)
    return Response(jnp.where(known, data, 1), jnp.where(known, err, 0), dq)


def component(flat: NirspecFlat, wavelength_um: Float[Array, "y x"]) -> Response:
    """One component at the pixels: its images at their wavelengths, times the mean of the table over each pixel."""
    slow = _slow(flat, wavelength_um)
    usable = jnp.isfinite(slow.data) & (slow.data != 0)
    dq = slow.dq | jnp.where(usable, 0, UNKNOWN).astype(slow.dq.dtype)
    good = (dq & flags.DO_NOT_USE) == 0
    image, image_err = jnp.where(good, slow.data, 1), jnp.where(good & jnp.isfinite(slow.err), slow.err, 0)
    fast, fast_err, missing = _fast(flat, wavelength_um)
    dq = dq | jnp.where(missing, UNKNOWN, 0).astype(dq.dtype)
    square = (fast_err * image) ** 2 + (image_err * fast) ** 2
    err = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
    return Response(image * fast, err, dq)


def _slow(flat: NirspecFlat, wavelength_um: Float[Array, "y x"]) -> Response:
    """Interpolate between the images of neighbouring wavelengths; DO_NOT_USE beyond them, or where either is."""
    data, err, dq = (jnp.asarray(plane) for plane in (flat.data, flat.err, flat.dq))
    if len(flat.plane_um) == 1:
        one, its_err, its_dq = (jnp.broadcast_to(plane[0], wavelength_um.shape) for plane in (data, err, dq))
        return Response(one, its_err, its_dq)
    at = jnp.where(jnp.isfinite(wavelength_um), wavelength_um, 0)
    planes = jnp.asarray(flat.plane_um)
    low = jnp.clip(jnp.searchsorted(planes, at, side="right") - 1, 0, len(planes) - 2)
    part = (at - planes[low]) / (planes[low + 1] - planes[low])
    outside = (at < planes[0]) | (at > planes[-1])
    part = jnp.where(outside, 0, part)

    def pick(plane: Array, index: Array) -> Array:
        return jnp.take_along_axis(plane, index[None], 0)[0]

    both = pick(dq, low) | jnp.where(part == 0, 0, pick(dq, low + 1)).astype(dq.dtype)
    both = both | jnp.where(outside, flags.DO_NOT_USE, 0).astype(dq.dtype)
    between, its_err = (_between(pick(plane, low), pick(plane, low + 1), part) for plane in (data, err))
    return Response(between, its_err, both)


def _between(low: Array, high: Array, part: Array) -> Array:
    """Linear interpolation that takes nothing from a neighbour that it does not need, NaN or not."""
    return jnp.where(part == 0, 0, part * high) + (1 - part) * low


def _fast(
    flat: NirspecFlat, wavelength_um: Float[Array, "y x"]
) -> tuple[Float[Array, "y x"], Float[Array, "y x"], Bool[Array, "y x"]]:
    """Mean of the table over each pixel and its error at the middle, 1 +- 0 without a wavelength; what it misses."""
    lit = jnp.isfinite(wavelength_um)
    middle = jnp.where(lit, wavelength_um, 0)
    width = _width(middle, lit)
    knots, first, last = flat.fast_um, flat.fast_um[0], flat.fast_um[-1]
    mean, covered = jnp.zeros_like(middle), lit
    for offset, weight in GAUSS:
        at = middle + width * offset
        covered = covered & (at >= first) & (at <= last)
        mean = mean + weight * jnp.interp(at, knots, flat.fast)
    err = jnp.where(covered, jnp.interp(middle, knots, flat.fast_err), 0)
    return jnp.where(covered, mean, 1), err, lit & ~covered


def _width(wavelength_um: Float[Array, "y x"], lit: Bool[Array, "y x"]) -> Float[Array, "y x"]:
    """Step to the next column (last lit column: from the one before); dark neighbours are their column's mean."""
    count = lit.sum(0)
    column = ratio(jnp.sum(jnp.where(lit, wavelength_um, 0), 0), count.astype(wavelength_um.dtype))
    filled = jnp.where(lit, wavelength_um, column[None])
    step = filled[:, 1:] - filled[:, :-1]
    known = (count[1:] > 0) & (count[:-1] > 0)
    nothing = jnp.zeros_like(step[:, :1])
    forward = jnp.concatenate([jnp.where(known, step, 0), nothing], 1)
    backward = jnp.concatenate([nothing, jnp.where(known, step, 0)], 1)
    ends = jnp.concatenate([~known, jnp.ones(1, bool)])
    return jnp.where(ends, backward, forward)
