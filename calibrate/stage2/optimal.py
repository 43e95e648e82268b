"""An integration as a sum of known images, element by element: profile, its derivatives, a level.

Images are turned so that light is dispersed along x; kernels/columns.py does the sums.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels import columns, trace_motion
from uptheramp.calibrate.kernels.aperture import ratio
from uptheramp.calibrate.stage2.spatial_profile import Profile, turned


class Model(NamedTuple):
    """The images (profile, its derivatives to position and width where known, the level) and the pixels' weights."""

    maps: Float[Array, "map y x"]
    weight: Float[Array, "y x"]
    moving: bool
    level: bool


def model_of(
    profile: Profile, whole: Float[Array, "y x"], region: Float[Array, "y x"], axis: int, *, level: bool
) -> Model:
    """Scale the profile to one over the aperture `whole`, the only light; weigh the pixels of `region`."""
    assert profile.weight is not None  # it was learned
    inside, weight = turned(whole, axis), turned(region, axis) * turned(profile.weight, axis)
    moving = profile.position is not None and profile.width is not None
    images = [profile.data, profile.position, profile.width] if moving else [profile.data]
    # what the profile holds beyond the aperture is noise, or a neighbour
    light = [jnp.where(inside > 0, turned(image, axis), 0) for image in images]
    total = jnp.sum(inside * light[0], 0)
    shapes = [ratio(image, jnp.broadcast_to(total, image.shape)) for image in light]
    # a derivative counts as far as it is no change of brightness: the rest depends on where in a pixel the trace lies
    norm = (weight * shapes[0] ** 2).sum(0)
    shapes[1:] = [s - shapes[0] * ratio((weight * shapes[0] * s).sum(0), norm) for s in shapes[1:]]
    if level:
        shapes.append(jnp.ones_like(weight))
    return Model(jnp.stack(shapes), weight, moving, level)


def motion(
    model: Model, data: Float[Array, "n y x"], good: Bool[Array, "n y x"], axis: int
) -> tuple[Float[Array, "n quantity"], Float[Array, "n quantity"]]:
    """How the trace lies in each integration (`Spectra.trace`) and the standard errors."""
    image = turned(data, axis)
    normal = columns.gram(model.maps, turned(good, axis), weight=model.weight)
    return trace_motion.fit(normal, columns.total(model.maps * model.weight, image))


def influence(
    model: Model,
    good: Bool[Array, "n y x"],
    trace: Float[Array, "n quantity"] | None,
    level_variance: Float[Array, "element"] | None,
    axis: int,
) -> Float[Array, "n y x"]:
    """How much each pixel adds to the flux of its element; the profile moved as `trace` says, if it does.

    `level_variance` is what is known of the level beforehand; without it the level is free.
    """
    seen = turned(good, axis)
    count, width = len(seen), model.weight.shape[-1]
    maps = len(model.maps)
    mix = jnp.zeros((count, 2 if model.level else 1, maps, width), model.weight.dtype).at[:, 0, 0].set(1)
    if trace is not None:
        moved = jnp.einsum("iax,na->nix", trace_motion.along(width).astype(mix.dtype), trace)
        mix = mix.at[:, 0, trace_motion.POSITION : trace_motion.WIDTH + 1].set(moved)
    if model.level:
        mix = mix.at[:, 1, maps - 1].set(1)
    known = jnp.zeros(mix.shape[1:2] + mix.shape[3:], mix.dtype)
    if model.level and level_variance is not None:
        least = 1e-6 * ratio(jnp.ones_like(level_variance), model.weight.sum(0))
        known = known.at[1].set(1 / jnp.maximum(level_variance, jnp.where(least > 0, least, 1)))
    return turned(columns.influence(model.maps, model.weight, seen, mix, known), axis)


def seen(model: Model, good: Bool[Array, "n y x"], axis: int) -> Float[Array, "n y x"]:
    """Fraction of each element's weight, w P^2, that lies on usable pixels; the summed axis is kept."""
    whole = model.maps[0] ** 2 * model.weight
    part = columns.total(whole[None], turned(~good, axis))
    return turned(1 - ratio(part, jnp.broadcast_to(whole.sum(0), part.shape)), axis)
