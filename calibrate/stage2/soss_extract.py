"""Take the orders of SOSS apart and extract each of them, column by column."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate import flags, host
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import columns, common_grid, order, trace_profiles
from uptheramp.calibrate.kernels.aperture import ratio
from uptheramp.calibrate.kernels.pixels import zeroed
from uptheramp.calibrate.references.pastasoss import Pastasoss
from uptheramp.calibrate.references.speckernel import Speckernel
from uptheramp.calibrate.references.specprofile import Specprofile
from uptheramp.calibrate.stage2 import soss_sums, soss_trace
from uptheramp.calibrate.stage2.typical import typical_variance
from uptheramp.calibrate.stage2.usable import in_the_light, variances
from uptheramp.calibrate.state import Rates, Spectra
from uptheramp.calibrate.step import step

ROUNDING = 1e-5  # of sums over a column
METHODS, BACKGROUNDS, PROFILES = ("optimal", "box", "full"), ("constant", "none"), ("reference", "data")


class Common(eqx.Module):
    """One spectrum of the star behind all orders (`kernels/common_grid.py`): orders lie end to end.

    `flux` is that of the median image by column, `rebuilding` makes of such fluxes those of one spectrum.
    """

    flux: Float[Array, "order*x"]
    rebuilding: Float[Array, "order*x order*x"]


class Typical(eqx.Module):
    """What all integrations of an exposure are extracted with, from a sample of them.

    `variance` is the median, in the squared units of the data. `profile` is the share of a column's light of an order
    in each pixel, as the median image has it; None where the reference is taken. `common`: None but for the full model.
    `moving`: None where the trace is not measured.
    """

    variance: Float[Array, "y x"]
    profile: Float[Array, "order y x"] | None = None
    common: Common | None = None
    moving: soss_trace.Moving | None = None


class Extract1dRefs(eqx.Module):
    """What extract_1d takes from the library; `typical` is learned. SPECPROFILE also says which orders there are."""

    pastasoss: Pastasoss
    specprofile: Specprofile
    typical: Typical | None
    speckernel: Speckernel | None = None


class Extract1dParams(eqx.Module):
    """How the light of a column becomes the fluxes of its orders.

    `method`: "optimal" solves for them, each pixel weighted by the inverse of its typical variance; "box" sums
    `soss_width` pixels around the trace, less what the solution says of the other orders and the background there
    (`decontaminate`, else the plain sum), bad pixels filled from the solution (else left out); "full" does the same
    with what one spectrum of the star, seen through throughputs (PASTASOSS) and line spread (SPECKERNEL), says of the
    orders: ratios of neighbours to a smooth estimate of it differ by about `neighbour_spread`. `background`: "constant"
    solves for a level of each column and integration beside the orders; "none". `profile`: where the shapes of the
    orders come from, "reference" (SPECPROFILE) or "data" (the median image of a sample). Elements of which less than
    `minimum_fraction` of the weight, or of the box, lies on usable pixels are not used. `trace`: measure how the trace
    of the first order lies in each integration.
    """

    soss_width: float = 40.0
    minimum_fraction: float = 0.5
    neighbour_spread: float = 1.0
    method: str = eqx.field(static=True, default="optimal")
    background: str = eqx.field(static=True, default="constant")
    profile: str = eqx.field(static=True, default="reference")
    decontaminate: bool = eqx.field(static=True, default=True)
    trace: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        for name, known in (("method", METHODS), ("background", BACKGROUNDS), ("profile", PROFILES)):
            if getattr(self, name) not in known:
                raise InputError(f"extract_1d.{name}={getattr(self, name)}: give one of {', '.join(known)}")


def learn_typical(sample: Rates, refs: Extract1dRefs, params: Extract1dParams) -> Typical:
    """Median variance of the sample's pixels in the light; from its median image what `params` ask for besides."""
    typical = Typical(_typical_variance(sample))
    if params.profile == "data" or params.method == "full":
        image, seen = _median_image(sample)
        if params.profile == "data":
            typical = replace(typical, profile=_measured(image, typical.variance, refs))
        if params.method == "full":
            typical = replace(typical, common=_common(image, seen, replace(refs, typical=typical), params))
    if params.trace:
        typical = replace(typical, moving=_moving(replace(refs, typical=typical), params, sample.data.dtype))
    return typical


@eqx.filter_jit
def _typical_variance(sample: Rates) -> Float[Array, "y x"]:
    return typical_variance(sample, in_the_light(sample))


@eqx.filter_jit
def _median_image(sample: Rates) -> tuple[Float[Array, "y x"], Float[Array, "y x"]]:
    """Median of the sample's pixels in the light, NaN where there is none, and in which part of it they are usable."""
    good = in_the_light(sample)
    return jax.lax.stop_gradient(order.median(sample.data, good)), good.mean(0)


@eqx.filter_jit
def _moving(refs: Extract1dRefs, params: Extract1dParams, dtype: Any) -> soss_trace.Moving:
    assert refs.typical is not None  # as it is so far
    profiles = _profiles(refs, dtype)
    first = profiles[0], jnp.asarray(refs.pastasoss.trace_px[0], dtype)
    known = soss_sums.known(profiles, refs.typical.variance, level=_solves_level(params))
    return soss_trace.learn(*first, *known)


def _measured(
    image: Float[Array, "y x"], variance: Float[Array, "y x"], refs: Extract1dRefs
) -> Float[Array, "order y x"]:
    """Profiles of the orders, from the median image of the sample."""
    weight = jnp.where(jnp.isfinite(image), 1 / jax.lax.stop_gradient(variance), 0)
    result = jax.ShapeDtypeStruct((len(refs.pastasoss.order), *image.shape), image.dtype)

    def fit(*args: np.ndarray) -> tuple[np.ndarray]:
        return (trace_profiles.fit(*(np.asarray(a, float) for a in args)).astype(result.dtype),)

    traces = (jnp.asarray(refs.pastasoss.trace_px), jnp.asarray(refs.pastasoss.wavelength_um))
    return host.call(fit, (result,), image, weight, *traces)[0]


@eqx.filter_jit
def _solved(
    image: Float[Array, "y x"], seen: Float[Array, "y x"], refs: Extract1dRefs, params: Extract1dParams
) -> tuple[Float[Array, "order x"], Float[Array, "order order x"]]:
    """Fluxes of the median image by column, and the inverse of their covariance."""
    assert refs.typical is not None  # as it is so far
    profiles = _profiles(refs, image.dtype)
    shapes, weight = soss_sums.known(profiles, refs.typical.variance, level=_solves_level(params))
    used = jnp.isfinite(image)
    weight = (weight * jnp.where(used, seen, 0))[None]
    solution = columns.inverse(columns.gram(shapes, weight))
    flux = columns.applied(solution, columns.total(shapes * weight[0], zeroed(image, used)[None]))
    count = len(profiles)
    return flux[0, :count], columns.inverse(solution[:, :count, :count])[0]


def _common(
    image: Float[Array, "y x"], seen: Float[Array, "y x"], refs: Extract1dRefs, params: Extract1dParams
) -> Common:
    """Solve the median image by column, and make the matrix that brings the orders of any image together."""
    if refs.speckernel is None:
        raise InputError("extract_1d.method=full needs a SPECKERNEL reference file; give one, or another method")
    flux, information = _solved(image, seen, refs, params)
    result = jax.ShapeDtypeStruct((flux.size, flux.size), flux.dtype)

    def rebuild(lam: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray]:
        curve, throughput, kernel_um, kernel, said, of_median, spread = (np.asarray(r, float) for r in rest)
        assert refs.speckernel is not None  # seen above
        model = common_grid.response(
            np.asarray(lam, float), curve, throughput, kernel_um, kernel, refs.speckernel.per_px
        )
        guess = common_grid.estimate(model, of_median.ravel())
        return (common_grid.rebuilding(model, said, guess, float(spread)).astype(result.dtype),)

    p, k = refs.pastasoss, refs.speckernel
    given = (p.wavelength_um, p.throughput_um, p.throughput, k.wavelength_um, k.kernel)
    given = (*given, information, flux, params.neighbour_spread)
    matrix = host.call(rebuild, (result,), *(jax.lax.stop_gradient(jnp.asarray(g)) for g in given))[0]
    return Common(flux.reshape(-1), matrix)


def _profiles(refs: Extract1dRefs, dtype: Any) -> Float[Array, "order y x"]:
    """Give the shapes of the orders where they are lit."""
    lit = jnp.isfinite(jnp.asarray(refs.pastasoss.trace_px))
    measured = None if refs.typical is None else refs.typical.profile
    return jnp.where(lit[:, None], jnp.asarray(refs.specprofile.profile if measured is None else measured, dtype), 0)


@step(
    cite="uptheramp; the model of Darveau-Bernier et al. 2022 solved by column; box: jwst 3.0.0 soss_boxextract",
    learned="typical",
    learn=learn_typical,
    eager=True,
)
def extract_1d(state: Rates, refs: Extract1dRefs, params: Extract1dParams) -> tuple[Spectra, None]:
    """Solve d(y) = sum_o P_o(y) f_o + b in every column by weighted least squares over its usable pixels.

    P_o are the profiles of the orders, b a level of the column. With w = good / V the solution is
    f = (P^T w P)^-1 P^T w d: exact where wavelength depends on the column alone, without throughputs, kernels or
    regularisation, unbiased whatever pixels are left out if the profiles are right. A column that one order lights gets
    the optimal extraction. Whatever the method, a flux is a sum over the column of influence times data, so variances
    are those of the pixels times the squared influence, and two orders of a column share covariance (`Spectra`). Of the
    full model these are the errors of the box: that its orders are less noisy than those of a column is not counted.
    """
    _check(refs)
    assert refs.typical is not None  # it was learned
    dtype = state.data.dtype
    lit = jnp.isfinite(jnp.asarray(refs.pastasoss.trace_px))
    profiles, variance = _profiles(refs, dtype), jnp.asarray(refs.typical.variance, dtype)
    count, height, width = profiles.shape
    boxes = box(refs.pastasoss.trace_px, params.soss_width, height).astype(dtype)

    moving = refs.typical.moving if params.trace else None
    planes = soss_sums.Planes(
        data=state.data,
        good=in_the_light(state),
        variances=variances(state),
        variance=variance[None],
        profiles=profiles,
        boxes=None if params.method == "optimal" else boxes,
        moving=None if moving is None else moving.maps,
    )
    sums = soss_sums.summed(planes, level=_solves_level(params))
    normal, own = columns.symmetric(sums.normal), np.arange(count)
    solution = columns.inverse(normal)
    share = solution[:, :count]
    amounts = columns.applied(solution, sums.amounts)
    flux, seen = amounts[:, :count], _elements(normal, own, own)
    if sums.box is not None:
        eye = jnp.eye(count, dtype=dtype)[None, :, :, None]
        itself = jnp.broadcast_to(eye, (len(flux), count, count, width))
        flux, seen = sums.box.light, sums.box.seen
        if _restores(params):
            # beyond its own order; of that, less what lies on bad pixels
            beyond = jnp.pad(eye * sums.box.own[:, :, None], [(0, 0), (0, 0), (0, len(sums.normal) - count), (0, 0)])
            inside = jnp.stack(sums.box.inside, 1) - beyond
            share = jnp.concatenate([itself, -columns.times(inside, solution)], 2)
            believed = amounts
            if params.method == "full":
                # an order whose box lies outside of the window may still be known by its wings
                told = _elements(normal, own, own) > 0
                believed = amounts.at[:, :count].set(_together(amounts[:, :count], told, refs))
            flux = flux - columns.applied(inside, believed)
        else:
            share = jnp.concatenate([itself, jnp.zeros_like(solution[:, :count])], 2)
    share = jax.lax.optimization_barrier(share)  # or XLA works it out again for every product
    spread = [columns.between(share, columns.symmetric(upper)) for upper in sums.spread]
    fraction = ratio(seen, sums.whole)
    level = jnp.zeros_like(flux)
    if _solves_level(params) and _restores(params):
        level = amounts[:, count, None] * sums.pixels

    wavelength, trace = (jnp.asarray(x, dtype) for x in (refs.pastasoss.wavelength_um, refs.pastasoss.trace_px))
    dark = ~(lit & (trace >= -0.5) & (trace < height - 0.5))
    lost = dark | (fraction < params.minimum_fraction) | (fraction <= 0)
    dq = (
        jnp.where(lost, flags.DO_NOT_USE, 0)
        | jnp.where((fraction < 1 - ROUNDING) & _restores(params), flags.FLUX_ESTIMATED, 0)
        | jnp.where(dark, flags.NON_SCIENCE, 0)
    ).astype(state.dq.dtype)
    one, other = np.triu_indices(count, 1)
    # the error of the flat is common to all times
    shared = _elements(spread[0], one, other) + _elements(spread[1], one, other)
    column = np.arange(width)
    pairs = np.stack([np.add.outer(k * width, column).ravel() for k in (one, other)], 1)

    def end_to_end(
        plane: Float[Array, "n order x"], where: Bool[Array, "n order x"] = lost
    ) -> Float[Array, "n wavelength"]:
        return jnp.where(where, jnp.nan, plane).reshape(len(plane), -1)

    trace = error = None
    if moving is not None:
        trace, error = soss_trace.measure(moving, sums.moving, amounts)
    spectra = Spectra(
        flux=end_to_end(flux),
        var_poisson=end_to_end(_elements(spread[0], own, own)),
        var_rnoise=end_to_end(_elements(spread[1], own, own)),
        var_flat=end_to_end(_elements(spread[2], own, own)),
        background=level.reshape(len(flux), -1),
        dq=dq.reshape(len(flux), -1),
        npixels=sums.pixels.reshape(-1),
        wavelength_um=jnp.where(dark, jnp.nan, wavelength).reshape(-1),
        integration=state.integration,
        order=jnp.asarray(np.repeat(np.array(refs.specprofile.order, np.int32), width)),
        pairs=jnp.asarray(pairs.astype(np.int32)),
        covariance=end_to_end(shared, lost[:, one] | lost[:, other]),
        unit=state.unit,
        trace=trace,
        trace_err=error,
    )
    return spectra, None


def box(trace_px: Float[Array, "order x"], width_px: Float[Array, ""], height: int) -> Float[Array, "order y x"]:
    """Fraction of each pixel within half a width of each trace; pixel j covers j - 0.5 .. j + 0.5."""
    row = np.arange(height, dtype=float)[:, None]
    lit = jnp.isfinite(trace_px)[:, None]
    centre = jnp.where(lit, jnp.asarray(trace_px)[:, None], 0)
    start = jnp.maximum(centre - width_px / 2, row - 0.5)
    stop = jnp.minimum(centre + width_px / 2, row + 0.5)
    return jnp.where(lit, jnp.maximum(stop - start, 0), 0)


def _together(
    flux: Float[Array, "n order x"], known: Bool[Array, "n order x"], refs: Extract1dRefs
) -> Float[Array, "n order x"]:
    """Orders as one spectrum makes them; where a column is lost, it is taken to be that of the median image."""
    assert refs.typical is not None and refs.typical.common is not None  # learned, with the method
    common = refs.typical.common
    given = jnp.where(known.reshape(len(flux), -1), flux.reshape(len(flux), -1), common.flux)
    return jnp.einsum("ij,nj->ni", common.rebuilding, given).reshape(flux.shape)


def _elements(matrix: Float[Array, "n order order x"], one: np.ndarray, other: np.ndarray) -> Float[Array, "n pair x"]:
    """Single elements, by slices: gathering them would make XLA compute them out of order."""
    planes = [matrix[:, a, b] for a, b in zip(one, other, strict=True)]
    return jnp.stack(planes, 1) if planes else matrix[:, 0, :0]


def _solves_level(params: Extract1dParams) -> bool:
    return params.background == "constant"


def _restores(params: Extract1dParams) -> bool:
    """Whether the light of bad pixels is inferred from the solution."""
    return params.method != "box" or params.decontaminate


def _check(refs: Extract1dRefs) -> None:
    """Refuse references of different orders."""
    if refs.pastasoss.order != refs.specprofile.order:
        raise InputError(
            f"PASTASOSS holds the orders {refs.pastasoss.order} and SPECPROFILE {refs.specprofile.order}; "
            "give references of the same orders"
        )
