"""The light of an imaged star: aperture photometry with the background of an annulus."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.fit.star_width import gaussian_fit
from uptheramp.calibrate.kernels import order
from uptheramp.calibrate.kernels.aperture import ratio
from uptheramp.calibrate.kernels.centroid import centre_of_mass, level_outside
from uptheramp.calibrate.kernels.circle import overlap
from uptheramp.calibrate.kernels.pixels import zeroed
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.target import Target
from uptheramp.calibrate.references.tsophot import RADII, Tsophot
from uptheramp.calibrate.stage2.usable import in_the_light, scale, variances
from uptheramp.calibrate.state import Photometry, Rates, single_order
from uptheramp.calibrate.step import step

MISSING = ("rescale", "omit")

Planes = Float[Array, "integration y x"]


class Source(eqx.Module):
    """The star in a sample of the exposure: (x, y) about which it is sought, where it is, its image less background.

    The image is in the units of the data and 0 where no integration was usable.
    """

    sought_px: Float[Array, "2"]
    position_px: Float[Array, "2"]
    image: Float[Array, "y x"]


class TsoPhotometryRefs(eqx.Module):
    """What tso_photometry takes from the library; `source` is learned."""

    target: Target
    source: Source
    tsophot: Tsophot | None
    gain: Gain | None


class TsoPhotometryParams(eqx.Module):
    """Radii (px), and where the aperture lies.

    A radius that is not given is that of TSOPHOT, and without one that of the official step (3, 4, 5) or, behind a
    weak lens, one that holds the ring. The aperture lies at the median of the centroids of a sample, with
    `moving_centroid` at each integration's own, without `centroid_source` where the header says. `missing` says what
    becomes of the light of a bad pixel: "rescale" estimates it from the median image, "omit" loses it, as the official
    step does. Integrations of which less than `minimum_fraction` of the light was seen are not used.
    """

    radius: float | None = None
    radius_inner: float | None = None
    radius_outer: float | None = None
    minimum_fraction: float = 0.5
    search_box_width: int = eqx.field(static=True, default=41)
    fit_box_width: int = eqx.field(static=True, default=11)
    centroid_source: bool = eqx.field(static=True, default=True)
    moving_centroid: bool = eqx.field(static=True, default=False)
    missing: str = eqx.field(static=True, default="rescale")

    def __check_init__(self):
        if self.missing not in MISSING:
            raise InputError(f"tso_photometry.missing={self.missing}: give one of {', '.join(MISSING)}")


def learn_source(sample: Rates, refs: TsoPhotometryRefs, params: TsoPhotometryParams) -> Source:
    """Find the star: centroids in a wide box about the header's place, then in a narrow one about their median."""
    state, _ = _in_flux_units(sample, refs)
    good, dtype = in_the_light(state), state.data.dtype
    told = jnp.stack([jnp.asarray(refs.target.x_px, dtype), jnp.asarray(refs.target.y_px, dtype)])
    _, inner, _ = _radii(refs, params)

    def median_near(place: Float[Array, "2"], width: int) -> Float[Array, "2"]:
        found = _centroids(_above(state, good, place, inner), good, place, width)
        middle = order.median(found, jnp.isfinite(found))
        return jnp.where(jnp.isfinite(middle).all(), middle, place)

    sought = median_near(told, params.search_box_width)
    position = median_near(sought, params.fit_box_width) if params.centroid_source else told
    middle = order.median(state.data, good)
    _, ring = _weights(state.data.shape, position, _radii(refs, params), dtype)
    seen = good.any(0)
    background = ratio(jnp.sum(jnp.where(seen, ring * middle, 0)), jnp.sum(jnp.where(seen, ring, 0)))
    image = jnp.where(seen, jnp.maximum(middle - background, 0), 0)
    return Source(sought, position, image.astype(dtype))


@step(cite="jwst 3.0.0 tso_photometry", learned="source", learn=learn_source)
def tso_photometry(state: Rates, refs: TsoPhotometryRefs, params: TsoPhotometryParams) -> tuple[Photometry, None]:
    """Sum over a circle less the annulus' mean, `flux = (sum w d - A b) / f`, w the exact part of a pixel inside.

    b = sum v d / sum v, v that of the annulus, A = sum w over usable pixels. f is the part of the median image's light
    that falls on usable pixels of the circle; f < 1 is FLUX_ESTIMATED. Variances are those of this sum; the errors of
    the catalogue are the official ones, `sqrt(sum w err^2)`, in which pixels on the edge count for more.

    In Jy where the data are MJy/sr, in electrons where they are DN/s and the gain is known. Pixels of the annulus or
    the circle that lie outside the window are left out; without any annulus there is no background.
    """
    state, unit = _in_flux_units(state, refs)
    good, dtype = in_the_light(state), state.data.dtype
    source = refs.source
    above = _above(state, good, source.sought_px, _radii(refs, params)[1])
    found = _centroids(above, good, source.sought_px, params.fit_box_width)
    place = source.position_px
    if params.moving_centroid:
        place = jnp.where(jnp.isfinite(found), found, place)
    circle, ring = _weights(state.data.shape, place, _radii(refs, params), dtype)
    inside, around = jnp.where(good, circle, 0), jnp.where(good, ring, 0)
    area, ring_area = jnp.sum(inside, (1, 2)), jnp.sum(around, (1, 2))
    fraction = _seen(circle, inside, source.image) if params.missing == "rescale" else jnp.ones_like(area)
    pull = (inside - ratio(area, ring_area)[:, None, None] * around) / fraction[:, None, None]

    data = zeroed(state.data, good)
    total = sum(zeroed(v, good) for v in variances(state))
    lost = (area <= 0) | (fraction < params.minimum_fraction)
    dq = jnp.where(lost, flags.DO_NOT_USE, 0) | jnp.where(fraction < 1, flags.FLUX_ESTIMATED, 0)
    sums = [jnp.sum(pull * data, (1, 2)), *(jnp.sum(pull**2 * zeroed(v, good), (1, 2)) for v in variances(state))]
    flux, var_poisson, var_rnoise, var_flat = (jnp.where(lost, jnp.nan, s)[:, None] for s in sums)
    width = gaussian_fit(above, good, found, _odd(params.fit_box_width))
    place = jnp.broadcast_to(place, found.shape)
    measured = {
        "aperture_sum": jnp.sum(inside * data, (1, 2)),
        "aperture_sum_err": jnp.sqrt(jnp.sum(inside * total, (1, 2))),
        "aperture_area": area,
        "annulus_sum": jnp.sum(around * data, (1, 2)),
        "annulus_sum_err": jnp.sqrt(jnp.sum(around * total, (1, 2))),
        "annulus_area": ring_area,
        "light_seen": fraction,
        **{f"aperture_{axis}": place[:, k] for k, axis in enumerate("xy")},
        **{f"centroid_{axis}": found[:, k] for k, axis in enumerate("xy")},
        **{f"psf_{name}": width[:, k] for k, name in enumerate(("width_x", "width_y", "flux"))},
    }
    photometry = Photometry(
        flux=flux,
        var_poisson=var_poisson,
        var_rnoise=var_rnoise,
        var_flat=var_flat,
        background=(ratio(measured["annulus_sum"], ring_area) * area)[:, None],
        dq=dq.astype(state.dq.dtype)[:, None],
        npixels=jnp.max(jnp.sum(circle, (-2, -1)), keepdims=True).reshape(1),
        wavelength_um=jnp.asarray(refs.target.wavelength_um, dtype)[None],
        integration=state.integration,
        unit=unit,
        **single_order(len(flux), 1, dtype),
        measured=jnp.stack([measured[name].astype(dtype) for name in Photometry.columns], 1),
        band_um=jnp.asarray(refs.target.band_um, dtype),
        radii_px=jnp.stack([jnp.asarray(radius, dtype) for radius in _radii(refs, params)]),
    )
    return photometry, None


def _in_flux_units(state: Rates, refs: TsoPhotometryRefs) -> tuple[Rates, str]:
    """Give the data as flux in a pixel, as the official step does before it sums."""
    shape, dtype = state.data.shape[-2:], state.data.dtype
    if state.unit == "MJy/sr":
        return scale(state, jnp.full(shape, 1e6 * refs.target.pixel_sr, dtype)), "Jy"
    if state.unit == "DN/s" and refs.gain is not None:
        return scale(state, (refs.gain.data * refs.target.integration_s).astype(dtype)), "electron"
    return state, state.unit


def _radii(refs: TsoPhotometryRefs, params: TsoPhotometryParams) -> tuple[Any, ...]:
    """Radius of the aperture, inner and outer radius of the annulus."""
    fallback = refs.target.radii_px if refs.tsophot is None else [getattr(refs.tsophot, name) for name in RADII]
    given = (getattr(params, name) for name in RADII)
    return tuple(other if mine is None else mine for mine, other in zip(given, fallback, strict=True))


def _odd(width: int) -> int:
    """Round down to an odd width, as the official step does."""
    return width - (width % 2 == 0)


def _above(state: Rates, good: Bool[Array, "integration y x"], near: Float[Array, "2"], radius: Any) -> Planes:
    """The data less the median of all that is farther than `radius` from `near`, in each integration."""
    return zeroed(state.data, good) - level_outside(state.data, good, near, radius)


def _centroids(
    above: Planes, good: Bool[Array, "integration y x"], near: Float[Array, "2"], width: int
) -> Float[Array, "integration 2"]:
    """Centres of mass (x, y) in a box about `near`."""
    return centre_of_mass(above, good, jnp.broadcast_to(near, (len(above), 2)), _odd(width))


def _weights(shape: tuple[int, ...], place: Float[Array, "*batch 2"], radii: tuple[Any, ...], dtype: Any):
    """Parts of the pixels in the circle and in the annulus."""
    radius, inner, outer = (overlap(shape, place[..., 0], place[..., 1], r).astype(dtype) for r in radii)
    return radius, outer - inner


def _seen(circle: Planes, inside: Planes, image: Float[Array, "y x"]) -> Float[Array, "integration"]:
    """Part of the median image's light in the circle that falls on usable pixels."""
    light = jnp.sum(circle * image, (-2, -1))
    missing = jnp.sum((circle - inside) * image, (1, 2))
    return jnp.where(light > 0, jnp.maximum(1 - ratio(missing, light), 1e-3), 1)
