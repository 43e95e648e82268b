"""Estimate what bad pixels would have shown, from their neighbours."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import order
from uptheramp.calibrate.kernels.aperture import across_axis, ratio
from uptheramp.calibrate.kernels.pixels import zeroed
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage2.usable import usable, variances
from uptheramp.calibrate.state import Rates
from uptheramp.calibrate.step import step

ALGORITHMS, VARIANCES = ("mingrad", "fit_profile"), ("official", "sum")
EDGE_PX = 2  # pixels that "mingrad" leaves as they are: first two and last two rows and columns
NOISE = 5.0  # signal to noise below which a profile is not scaled


class PixelReplaceRefs(eqx.Module):
    """What pixel_replace takes from the library: of the aperture, the direction of the dispersion."""

    extract1d: Extract1d


class PixelReplaceParams(eqx.Module):
    """How the light of bad pixels is estimated.

    `algorithm`: "mingrad" takes the mean of the two neighbours along the axis on which they differ least; "fit_profile"
    the median profile of `n_adjacent_cols` elements on either side, scaled to what is seen of the element. `variance`:
    "official" gives the pixel the errors of those it was made from, as if it had been measured; "sum" gives it what it
    adds to the variance of a sum across the dispersion, the covariance with the pixels that it was made from included,
    and tells which pixels share noise with other elements (`Rates.imputed`; "mingrad" alone, "fit_profile" gives the
    official errors).
    """

    n_adjacent_cols: int = eqx.field(static=True, default=3)
    algorithm: str = eqx.field(static=True, default="mingrad")
    variance: str = eqx.field(static=True, default="official")

    def __check_init__(self):
        for name, known in (("algorithm", ALGORITHMS), ("variance", VARIANCES)):
            if getattr(self, name) not in known:
                raise InputError(f"pixel_replace.{name}={getattr(self, name)}: give one of {', '.join(known)}")


@step(cite="jwst 3.0.0 pixel_replace")
def pixel_replace(state: Rates, refs: PixelReplaceRefs, params: PixelReplaceParams) -> tuple[Rates, None]:
    """Fill bad pixels, which become FLUX_ESTIMATED; those that are NON_SCIENCE stay DO_NOT_USE.

    "mingrad": d = (a + b) / 2, and of its variances the root is (sqrt v_a + sqrt v_b) / 2 ("official"), or v =
    (v_a + v_b) / 4 where a and b belong to other elements, and 5 (v_a + v_b) / 4 where they are summed with it ("sum").
    "fit_profile": d = s m, m the median of profiles divided by their maxima, s by least squares; errors likewise.
    """
    axis = across_axis(refs.extract1d.dispersion_axis)
    good = usable(state)
    if params.algorithm == "mingrad":
        planes, found, along = _mingrad(state, good, axis, joint=params.variance == "sum")
    else:
        planes, found = _fit_profile(state, good, axis, params.n_adjacent_cols)
        along = None
    new = [jnp.where(found, plane, old) for plane, old in zip(planes, (state.data, *variances(state)), strict=True)]
    science = (state.dq & flags.NON_SCIENCE) == 0
    kept = jnp.where(found & science, state.dq & ~jnp.asarray(flags.DO_NOT_USE, state.dq.dtype), state.dq)
    dq = kept | jnp.where(found, flags.FLUX_ESTIMATED, 0).astype(state.dq.dtype)
    data, var_poisson, var_rnoise, var_flat = new
    filled = replace(state, data=data, var_poisson=var_poisson, var_rnoise=var_rnoise, var_flat=var_flat, dq=dq)
    if params.variance == "sum" and along is not None:
        before = False if state.imputed is None else state.imputed
        filled = replace(filled, imputed=jnp.where(found, along, before))
    return filled, None


Planes = list[Float[Array, "integration y x"]]


def _mingrad(
    state: Rates, good: Bool[Array, "integration y x"], axis: int, *, joint: bool
) -> tuple[Planes, Bool[Array, "integration y x"], Bool[Array, "integration y x"]]:
    """Planes (data, then variances) from the nearer pair of neighbours, where one is, and where of other elements."""

    def pair(plane: Array, along: int) -> tuple[Array, Array]:
        return jnp.roll(plane, 1, along), jnp.roll(plane, -1, along)

    data = zeroed(state.data, good)
    sides = {along: pair(data, along) for along in (-1, -2)}
    both = {along: jnp.logical_and(*pair(good, along)) for along in (-1, -2)}
    apart = {along: jnp.where(both[along], jnp.abs(a - b), jnp.inf) for along, (a, b) in sides.items()}
    in_row = apart[-1] <= apart[-2]
    found = ~good & (both[-1] | both[-2]) & _interior(data.shape[-2:])

    def chosen(of_row: Array, of_column: Array) -> Array:
        return jnp.where(in_row, of_row, of_column)

    planes = [chosen(*(sum(sides[along]) / 2 for along in (-1, -2)))]
    for variance in variances(state):
        given = zeroed(variance, good)
        if joint:
            parts = [(1.25 if along == axis else 0.25) * sum(pair(given, along)) for along in (-1, -2)]
        else:
            parts = [(sum(pair(_root(given), along)) / 2) ** 2 for along in (-1, -2)]
        planes.append(chosen(*parts))
    return planes, found, in_row if axis == -2 else ~in_row


def _interior(shape: tuple[int, ...]) -> Bool[Array, "y x"]:
    inside = jnp.zeros(shape, bool)
    return inside.at[EDGE_PX : 1 - EDGE_PX, EDGE_PX : 1 - EDGE_PX].set(True)


def _fit_profile(
    state: Rates, good: Bool[Array, "integration y x"], axis: int, reach: int
) -> tuple[Planes, Bool[Array, "integration y x"]]:
    """Planes from the median profile of the elements beside, scaled; where there is one."""
    along = -1 if axis == -2 else -2
    shifts = [s for s in range(-reach, reach + 1) if s]
    length = good.shape[along]
    index = jnp.arange(length).reshape((1, 1, -1) if along == -1 else (1, -1, 1))

    def beside(plane: Array) -> Array:
        return jnp.stack([jnp.roll(plane, -s, along) for s in shifts])

    there = jnp.stack([(index + s >= 0) & (index + s < length) for s in shifts])
    seen = beside(good) & there
    data = zeroed(state.data, good)
    err = _root(sum(zeroed(v, good) for v in variances(state)))
    signal = jnp.max(jnp.where(seen, ratio(jnp.abs(beside(data)), beside(err)), 0), axis=(0, axis), keepdims=True)
    top = jnp.max(jnp.where(good, jnp.abs(data), 0), axis=axis, keepdims=True)
    top = jnp.where(signal < NOISE, 1, jnp.where(beside(top) > 0, beside(top), 1))
    profile = order.median(beside(data) / top, seen)
    known = jnp.isfinite(profile)
    profile = jnp.where(known, profile, 0)

    told = good & known
    most = jnp.max(jnp.where(good, data, -jnp.inf), axis=axis, keepdims=True)
    most = jnp.where(jnp.isfinite(most), most, 1)
    current = jnp.abs(data / jnp.where(most == 0, 1, most))
    shape = jnp.where(told, jnp.abs(profile), 0)
    fitted = ratio(jnp.sum(shape * current, axis, keepdims=True), jnp.sum(shape**2, axis, keepdims=True))
    scale = jnp.where(signal[0] < NOISE, 1, fitted * most)
    planes = [profile * scale]
    for variance in variances(state):
        error = order.median(beside(_root(zeroed(variance, good))) / top, seen)
        planes.append((jnp.where(known, error, 0) * scale) ** 2)
    science = (state.dq & flags.NON_SCIENCE) == 0
    return planes, ~good & known & science & jnp.any(good, axis, keepdims=True)


def _root(variance: Float[Array, "..."]) -> Float[Array, "..."]:
    """Square root whose derivative at 0 is 0."""
    return jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1)), 0)
