"""What the columns of SOSS images are summed to: all that extraction asks of the pixels (`soss_extract.py`)."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels import columns, tiles
from uptheramp.calibrate.kernels.pixels import zeroed
from uptheramp.calibrate.stage2 import soss_trace


class Known(NamedTuple):
    """Shapes of the light in each column and what pixels weigh."""

    shapes: Float[Array, "shape y x"]  # the profiles and, where one is solved for, the level
    weight: Float[Array, "y x"]


def known(profiles: Float[Array, "order y x"], variance: Float[Array, "y x"], *, level: bool) -> Known:
    """Weight pixels by the inverse of a variance, where there is a profile: elsewhere light is not known either."""
    there = (profiles.max(0) > 0).astype(profiles.dtype)
    shapes = jnp.concatenate([profiles, there[None]]) if level else profiles
    return Known(shapes, there / jnp.asarray(variance, profiles.dtype))


class Planes(NamedTuple):
    """What is summed over the columns: images and maps."""

    data: Float[Array, "n y x"]
    good: Bool[Array, "n y x"]
    variances: tuple[Float[Array, "n y x"], ...]
    variance: Float[Array, "1 y x"]  # what pixels are weighted by
    profiles: Float[Array, "order y x"]
    boxes: Float[Array, "order y x"] | None
    moving: Float[Array, "quantity y x"] | None


class Box(NamedTuple):
    """Data in each box, usable pixels in it, and what of each shape is on these; `own` of its order on all pixels."""

    light: Float[Array, "n order x"]
    seen: Float[Array, "n order x"]
    inside: list[Float[Array, "n shape x"]]
    own: Float[Array, "1 order x"]


class Sums(NamedTuple):
    """Sums over the columns, `whole` and `pixels` over all pixels, of what the fluxes are judged and counted by.

    `spread`: of the variances by cause, times every two of the maps that fluxes are made of.
    """

    normal: list[Float[Array, "n _ x"]]
    amounts: Float[Array, "n shape x"]
    spread: list[list[Float[Array, "n _ x"]]]
    whole: Float[Array, "1 order x"]
    pixels: Float[Array, "1 order x"]
    box: Box | None
    moving: soss_trace.Sums | None


def summed(planes: Planes, *, level: bool) -> Sums:
    """All sums in one pass over the images; `level`: whether one is solved for in every column."""
    return tiles.summed(partial(_of_tile, level=level), planes)


def _of_tile(p: Planes, *, level: bool) -> Sums:
    seen, image = p.good.astype(p.data.dtype), zeroed(p.data, p.good)
    shapes, weight = known(p.profiles, p.variance[0], level=level)
    weighted, one = shapes * weight, jnp.ones_like(p.variance)
    normal, amounts = columns.pairs(seen, weighted, shapes), columns.added(image, weighted)
    whole, pixels = (columns.added(one, m) for m in (p.profiles**2 * weight, (p.profiles > 0).astype(one.dtype)))
    box, spread = None, [columns.pairs(zeroed(v, p.good), weighted, weighted) for v in p.variances]
    if p.boxes is not None:
        light, part = (columns.added(i, p.boxes) for i in (image, seen))
        inside = [_in_box(seen, b, shapes) for b in p.boxes]
        whole = pixels = columns.added(one, p.boxes)
        box = Box(light, part, inside, columns.added(one, p.boxes * p.profiles))
        maps = jnp.concatenate([p.boxes, weighted])
        boxed = [[_in_box(zeroed(v, p.good), b, maps[k:]) for k, b in enumerate(p.boxes)] for v in p.variances]
        spread = [[*first, *rest] for first, rest in zip(boxed, spread, strict=True)]
    moving = None if p.moving is None else soss_trace.of_tile(p.moving, shapes, image, seen)
    return Sums(normal, amounts, spread, whole, pixels, box, moving)


def _in_box(
    image: Float[Array, "n y x"], box: Float[Array, "y x"], maps: Float[Array, "map y x"]
) -> Float[Array, "n map x"]:
    """Sums of what lies in a box; most tiles hold nothing of it."""
    nothing = jnp.zeros((len(image), len(maps), image.shape[-1]), image.dtype)
    return jax.lax.cond(jnp.any(box > 0), lambda: columns.added(image, box * maps), lambda: nothing)
