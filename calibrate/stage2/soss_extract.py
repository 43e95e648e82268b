"""Take the orders of SOSS apart and extract each of them, column by column."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate import flags, host
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import columns, order, trace_profiles
from uptheramp.calibrate.kernels.aperture import ratio
from uptheramp.calibrate.references.pastasoss import Pastasoss
from uptheramp.calibrate.references.specprofile import Specprofile
from uptheramp.calibrate.stage2.typical import typical_variance
from uptheramp.calibrate.stage2.usable import in_the_light, variances, zeroed
from uptheramp.calibrate.state import Rates, Spectra
from uptheramp.calibrate.step import step

METHODS, BACKGROUNDS, PROFILES = ("optimal", "box"), ("constant", "none"), ("reference", "data")


class Typical(eqx.Module):
    """What all integrations of an exposure are extracted with, from a sample of them.

    `variance` is the median, in the squared units of the data. `profile` is the share of a column's light of an order
    in each pixel, as the median image has it; None where the reference is taken.
    """

    variance: Float[Array, "y x"]
    profile: Float[Array, "order y x"] | None = None


class Extract1dRefs(eqx.Module):
    """What extract_1d takes from the library; `typical` is learned. SPECPROFILE also says which orders there are."""

    pastasoss: Pastasoss
    specprofile: Specprofile
    typical: Typical | None


class Extract1dParams(eqx.Module):
    """How the light of a column becomes the fluxes of its orders.

    `method`: "optimal" solves for them, each pixel weighted by the inverse of its typical variance; "box" sums
    `soss_width` pixels around the trace, less what the solution says of the other orders and the background there
    (`decontaminate`, else the plain sum), bad pixels filled from the solution (else left out). `background`: "constant"
    solves for a level of each column and integration beside the orders; "none". `profile`: where the shapes of the
    orders come from, "reference" (SPECPROFILE) or "data" (the median image of a sample). Elements of which less than
    `minimum_fraction` of the weight, or of the box, lies on usable pixels are not used.
    """

    soss_width: float = 40.0
    minimum_fraction: float = 0.5
    method: str = eqx.field(static=True, default="optimal")
    background: str = eqx.field(static=True, default="constant")
    profile: str = eqx.field(static=True, default="reference")
    decontaminate: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        for name, known in (("method", METHODS), ("background", BACKGROUNDS), ("profile", PROFILES)):
            if getattr(self, name) not in known:
                raise InputError(f"extract_1d.{name}={getattr(self, name)}: give one of {', '.join(known)}")


def learn_typical(sample: Rates, refs: Extract1dRefs, params: Extract1dParams) -> Typical:
    """Median variance of the sample's pixels in the light, and profiles of its median image if they are asked for."""
    good = in_the_light(sample)
    typical = typical_variance(sample, good)
    return Typical(typical, _measured(sample, good, typical, refs) if params.profile == "data" else None)


def _measured(
    sample: Rates, good: Bool[Array, "n y x"], variance: Float[Array, "y x"], refs: Extract1dRefs
) -> Float[Array, "order y x"]:
    """Profiles of the orders, from the median image of the sample."""
    image = jax.lax.stop_gradient(order.median(sample.data, good))
    weight = jnp.where(jnp.isfinite(image), 1 / jax.lax.stop_gradient(variance), 0)
    result = jax.ShapeDtypeStruct((len(refs.pastasoss.order), *image.shape), image.dtype)

    def fit(*args: np.ndarray) -> tuple[np.ndarray]:
        return (trace_profiles.fit(*(np.asarray(a, float) for a in args)).astype(result.dtype),)

    traces = (jnp.asarray(refs.pastasoss.trace_px), jnp.asarray(refs.pastasoss.wavelength_um))
    return host.call(fit, (result,), image, weight, *traces)[0]


@step(
    cite="uptheramp; the model of Darveau-Bernier et al. 2022 solved by column; box: jwst 3.0.0 soss_boxextract",
    learned="typical",
    learn=learn_typical,
)
def extract_1d(state: Rates, refs: Extract1dRefs, params: Extract1dParams) -> tuple[Spectra, None]:
    """Solve d(y) = sum_o P_o(y) f_o + b in every column by weighted least squares over its usable pixels.

    P_o are the profiles of the orders, b a level of the column. With w = good / V the solution is
    f = (P^T w P)^-1 P^T w d: exact where wavelength depends on the column alone, without throughputs, kernels or
    regularisation, unbiased whatever pixels are left out if the profiles are right. A column that one order lights gets
    the optimal extraction. Whatever the method, a flux is a sum over the column of influence times data, so variances
    are those of the pixels times the squared influence, and two orders of a column share covariance (`Spectra`).
    """
    _check(refs)
    dtype = state.data.dtype
    assert refs.typical is not None  # it was learned
    good = in_the_light(state)
    seen = good.astype(dtype)
    lit = jnp.isfinite(jnp.asarray(refs.pastasoss.trace_px))
    believed = refs.specprofile.profile if refs.typical.profile is None else refs.typical.profile
    profiles = jnp.where(lit[:, None], jnp.asarray(believed, dtype), 0)
    count, height, width = profiles.shape
    known = (profiles.max(0) > 0).astype(dtype)  # where no profile is given, what light there is is not known either
    shapes = jnp.concatenate([profiles, known[None]]) if params.background == "constant" else profiles
    weight = known / jnp.asarray(refs.typical.variance, dtype)
    boxes = box(refs.pastasoss.trace_px, params.soss_width, height).astype(dtype)

    solution = columns.inverse(columns.gram(shapes, seen * weight))
    maps, share = shapes * weight, solution[:, :count]
    if params.method == "box":
        itself = jnp.broadcast_to(jnp.eye(count, dtype=dtype)[None, :, :, None], (len(seen), count, count, width))
        if params.decontaminate:
            maps = jnp.concatenate([maps, boxes])
            share = jnp.concatenate([-_others(boxes, shapes, seen, solution), itself], 2)
        else:
            maps, share = boxes, itself
    data = zeroed(state.data, good)
    flux = jnp.einsum("nkmx,nmx->nkx", share, columns.total(maps, data))
    spread = [_spread(maps, share, zeroed(v, good)) for v in variances(state)]
    pixels = boxes.sum(1) if params.method == "box" else (profiles > 0).sum(1).astype(dtype)
    level = jnp.zeros_like(flux)
    if params.background == "constant" and _restores(params):
        of_level = jnp.einsum("nmx,nmx->nx", solution[:, count], columns.total(shapes * weight, data))
        level = of_level[:, None] * pixels

    whole = boxes if params.method == "box" else profiles**2 * weight
    fraction = ratio(columns.total(whole, seen), whole.sum(1)[None])
    wavelength, trace = (jnp.asarray(x, dtype) for x in (refs.pastasoss.wavelength_um, refs.pastasoss.trace_px))
    dark = ~(lit & (trace >= -0.5) & (trace < height - 0.5))
    lost = dark | (fraction < params.minimum_fraction) | (fraction <= 0)
    dq = (
        jnp.where(lost, flags.DO_NOT_USE, 0)
        | jnp.where((fraction < 1) & _restores(params), flags.FLUX_ESTIMATED, 0)
        | jnp.where(dark, flags.NON_SCIENCE, 0)
    ).astype(state.dq.dtype)
    one, other = np.triu_indices(count, 1)
    shared = spread[0][:, one, other] + spread[1][:, one, other]  # the error of the flat is common to all times
    column = np.arange(width)
    pairs = np.stack([np.add.outer(k * width, column).ravel() for k in (one, other)], 1)

    def end_to_end(
        plane: Float[Array, "n order x"], where: Bool[Array, "n order x"] = lost
    ) -> Float[Array, "n wavelength"]:
        return jnp.where(where, jnp.nan, plane).reshape(len(plane), -1)

    own = np.arange(count)
    spectra = Spectra(
        flux=end_to_end(flux),
        var_poisson=end_to_end(spread[0][:, own, own]),
        var_rnoise=end_to_end(spread[1][:, own, own]),
        var_flat=end_to_end(spread[2][:, own, own]),
        background=level.reshape(len(flux), -1),
        dq=dq.reshape(len(flux), -1),
        npixels=pixels.reshape(-1),
        wavelength_um=jnp.where(dark, jnp.nan, wavelength).reshape(-1),
        integration=state.integration,
        order=jnp.asarray(np.repeat(np.array(refs.specprofile.order, np.int32), width)),
        pairs=jnp.asarray(pairs.astype(np.int32)),
        covariance=end_to_end(shared, lost[:, one] | lost[:, other]),
        unit=state.unit,
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


def _others(
    boxes: Float[Array, "order y x"],
    shapes: Float[Array, "shape y x"],
    seen: Float[Array, "n y x"],
    solution: columns.Matrix,
) -> Float[Array, "n order shape x"]:
    """What the solution says of a box beyond its own order, less its own light on bad pixels, by sums of the data."""
    count, every = len(boxes), len(shapes)
    product = (boxes[:, None] * shapes[None]).reshape(count * every, *shapes.shape[1:])
    inside = columns.total(product, seen).reshape(len(seen), count, every, -1)
    whole = (boxes * shapes[:count]).sum(1)
    own = np.arange(count)
    inside = inside.at[:, own, own].add(-whole)
    return jnp.einsum("nklx,nlmx->nkmx", inside, solution)


def _spread(
    maps: Float[Array, "map y x"], share: Float[Array, "n order map x"], variance: Float[Array, "n y x"]
) -> Float[Array, "n order order x"]:
    """Covariance of the orders of a column, from the variances of its pixels."""
    return jnp.einsum("nkmx,nmlx,njlx->nkjx", share, columns.gram(maps, variance), share)


def _restores(params: Extract1dParams) -> bool:
    """Whether the light of bad pixels is inferred from the solution."""
    return params.method == "optimal" or params.decontaminate


def _check(refs: Extract1dRefs) -> None:
    """Refuse references of different orders."""
    if refs.pastasoss.order != refs.specprofile.order:
        raise InputError(
            f"PASTASOSS holds the orders {refs.pastasoss.order} and SPECPROFILE {refs.specprofile.order}; "
            "give references of the same orders"
        )
