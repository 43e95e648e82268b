"""Sums over the leading axis a plane at a time, and work on many pixels in blocks that stay in the cache.

XLA's own reduction along a leading axis strides through memory on a CPU: over 80 planes of 256 x 2048 it took 25 times
as long as adding plane to plane. What goes over the same samples again and again (bisection) is five times as fast in
blocks of some thousand pixels.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

WIDE = 512  # pixels from which a plane is worth a turn of a loop
BLOCK = 2048  # pixels of a block
FEW = 16  # one pixel in so many is few
WRITTEN_OUT = 12  # turns up to which a loop over planes is written out

Turn = Callable[[Any, Any, Any], tuple[Any, Any]]


def few(number: int) -> bool:
    """Whether a loop of so many turns is written out."""
    return number <= WRITTEN_OUT


def rows(planes: Shaped[Array, "n ..."]) -> Any:
    """The array, or a list of its planes where they are few."""
    return list(planes) if few(len(planes)) else planes


def each(function: Callable[[Any], tuple[Array, ...]], number: int) -> tuple[Any, ...]:
    """The planes that `function` makes of 0, 1, ..., as arrays (n, ...), or as lists of planes where they are few."""
    if few(number):
        return tuple(map(list, zip(*(function(k) for k in range(number)), strict=True)))
    return jax.lax.map(function, jnp.arange(number))


def scan(turn: Turn, start: Any, number: int, rows: Any, *, reverse: bool = False) -> tuple[Any, Any]:
    """`carry, new = turn(carry, k, row)` for each row (`reverse`: from the last): the last carry, and the new rows.

    Few turns are written out, so that XLA makes one kernel of them, in which nothing of a pixel leaves the processor:
    a GLS slope of eight differences takes a fifth of the time of a loop. New rows are then a list and no array.
    """
    if not few(number):
        return loop(turn, start, number, rows, reverse=reverse)
    new: list[Any] = [None] * number
    for k in reversed(range(number)) if reverse else range(number):
        start, new[k] = turn(start, k, rows[k])
    return start, new


def loop(turn: Turn, start: Any, number: int, rows: Any, *, reverse: bool = False) -> tuple[Any, Any]:
    """`scan` that is never written out, for rows so large that those of all turns must not be held at once."""
    return jax.lax.scan(lambda carry, x: turn(carry, *x), start, (jnp.arange(number), rows), reverse=reverse)


def fold(add: Callable[..., Any], start: Any, *planes: Any) -> Any:
    """`start = add(start, plane, ...)` over the leading axis; what `add` computes of a plane is never stored.

    Over lists of planes it is written out.
    """
    if not isinstance(planes[0], list):
        return jax.lax.scan(lambda carry, each: (add(carry, *each), None), start, planes)[0]
    for each in zip(*planes, strict=True):
        start = add(start, *each)
    return start


def spread(image: Float[Array, "y x"], lead: tuple[int, ...]) -> Float[Array, "*lead y x"]:
    """The image for each plane; the derivative by it is summed a plane at a time."""

    @jax.custom_vjp
    def of(image: Array) -> Array:
        return jnp.broadcast_to(image, (*lead, *image.shape))

    def back(_: None, g: Array) -> tuple[Array]:
        return (fold(jnp.add, jnp.zeros_like(g, shape=g.shape[-2:]), g.reshape(-1, *g.shape[-2:])),)

    of.defvjp(lambda image: (of(image), None), back)
    return of(image)


def total(x: Shaped[Array, "n ..."], valid: Bool[Array, "n ..."]) -> Shaped[Array, "..."]:
    """Sum of the valid samples over the leading axis."""
    if x[0].size < WIDE:
        return jnp.where(valid, x, 0).sum(0)
    return fold(lambda s, each, good: s + jnp.where(good, each, 0), jnp.zeros_like(x[0]), x, valid)


def count(mask: Bool[Array, "n ..."]) -> Int[Array, "..."]:
    """Number of True along the leading axis."""
    if mask[0].size < WIDE:
        return mask.sum(0, dtype=jnp.int32)
    return fold(jnp.add, jnp.zeros(mask.shape[1:], jnp.int32), mask)


def anywhere(mask: Bool[Array, "n ..."]) -> Bool[Array, "..."]:
    """Whether there is a True along the leading axis."""
    if mask[0].size < WIDE:
        return mask.any(0)
    return fold(jnp.logical_or, jnp.zeros(mask.shape[1:], bool), mask)


def number(mask: Bool[Array, "... y x"]) -> Int[Array, ""]:
    """Number of True in many images."""
    return count(mask.reshape(-1, *mask.shape[-2:])).sum()


def largest(x: Float[Array, "n ..."], valid: Bool[Array, "n ..."]) -> Float[Array, "..."]:
    """Largest valid sample along the leading axis, -inf where there is none."""
    if x[0].size < WIDE:
        return jnp.where(valid, x, -jnp.inf).max(0)
    lowest = jnp.full_like(x[0], -jnp.inf)
    return fold(lambda s, each, good: jnp.maximum(s, jnp.where(good, each, -jnp.inf)), lowest, x, valid)


def in_blocks(function: Callable[..., Any], *planes: Shaped[Array, "n ..."]) -> Any:
    """`function` of arrays (n, pixel) a block of pixels at a time; its results (..., pixel) get the shape of a plane.

    For decisions: the derivative of a loop over slices would be summed over whole arrays, so none is taken.
    """
    shape = planes[0].shape[1:]
    flat = [jax.lax.stop_gradient(p).reshape(p.shape[0], -1) for p in planes]
    pixels = flat[0].shape[1]
    width = min(BLOCK, pixels)
    blocks = -(-pixels // width)

    def one(start: Int[Array, ""]) -> Any:
        return function(*(jax.lax.dynamic_slice_in_dim(p, start, width, 1) for p in flat))

    # the last block reaches back into the one before, so that all have one shape
    starts = jnp.minimum(jnp.arange(blocks) * width, pixels - width)
    found = jax.lax.map(one, starts)

    def whole(x: Shaped[Array, "block ... pixel"]) -> Shaped[Array, "..."]:
        head, tail = jnp.moveaxis(x[:-1], 0, -2), x[-1][..., blocks * width - pixels :]
        return jnp.concatenate([head.reshape(*head.shape[:-2], -1), tail], -1).reshape(*x.shape[1:-1], *shape)

    return jax.tree.map(whole, found)


def by_blocks(function: Callable[..., Any], *images: Shaped[Array, "... y x"]) -> Any:
    """`function` of arrays (*lead, pixel) a block of pixels at a time, its results (*rest, pixel) made images again.

    Differentiable, for which the arrays are first cut into blocks; they are all of one size, the divisor of the image
    nearest to BLOCK, or the whole image where it has none.
    """
    shape = images[0].shape[-2:]
    width = _width(shape[0] * shape[1])

    def cut(x: Shaped[Array, "... y x"]) -> Shaped[Array, "block ... pixel"]:
        return jnp.moveaxis(x.reshape(*x.shape[:-2], -1, width), -2, 0)

    def whole(x: Shaped[Array, "block ... pixel"]) -> Shaped[Array, "... y x"]:
        return jnp.moveaxis(x, 0, -2).reshape(*x.shape[1:-1], *shape)

    return jax.tree.map(whole, jax.lax.map(lambda each: function(*each), tuple(cut(x) for x in images)))


def _width(pixels: int) -> int:
    divisors = (w for w in range(BLOCK // 2, 4 * BLOCK + 1) if pixels % w == 0)
    return min(divisors, key=lambda w: abs(w - BLOCK), default=pixels)


def where_any(
    function: Callable[..., Any],
    chosen: Bool[Array, "..."],
    otherwise: Shaped[Array, "n ..."],
    *planes: Any,
    width: int = BLOCK,
) -> Shaped[Array, "n ..."]:
    """`function` of arrays (n, pixel) for the chosen pixels, a block of `width` at a time; `otherwise` for the rest.

    Worth it where few pixels need much. For decisions, as `in_blocks`.
    """
    flat = [jax.lax.stop_gradient(p).reshape(p.shape[0], -1) for p in (otherwise, *planes)]
    pixels = chosen.size
    width = min(width, pixels)
    # beyond the chosen ones come pixels that do not exist: reading clips them, writing drops them
    places = jnp.nonzero(chosen.ravel(), size=pixels + width, fill_value=pixels)[0]

    def block(carry):
        start, out = carry
        at = jax.lax.dynamic_slice_in_dim(places, start, width)
        found = function(*(jnp.take(p, at, axis=1, mode="clip") for p in flat[1:]))
        return start + width, out.at[:, at].set(found, mode="drop")

    out = jax.lax.while_loop(lambda c: c[0] < chosen.sum(), block, (jnp.asarray(0, places.dtype), flat[0]))[1]
    return out.reshape(otherwise.shape)


def where_few(
    special: Callable[..., Any],
    usual: Callable[..., Any],
    chosen: Bool[Array, "y x"],
    *images: Shaped[Array, "... y x"],
) -> Any:
    """`special` of arrays (*lead, pixel) for the chosen pixels, `usual` for the others; both give arrays (pixel).

    Differentiable; of few planes `usual` takes whole images. Up to one pixel in FEW is gathered; where more are chosen,
    `special` takes all, by blocks.
    """
    most = -(-chosen.size // FEW)
    usual_of = usual if few(len(images[0])) else partial(by_blocks, usual)

    def gathered() -> Any:
        places = jnp.nonzero(chosen.ravel(), size=most, fill_value=chosen.size)[0]
        flat = (x.reshape(*x.shape[:-2], -1) for x in images)
        found = special(*(jnp.take(x, places, axis=-1, mode="clip") for x in flat))

        def put(x: Shaped[Array, "y x"], new: Shaped[Array, "pixel"]) -> Shaped[Array, "y x"]:
            return x.ravel().at[places].set(new, mode="drop").reshape(x.shape)

        return jax.tree.map(put, usual_of(*images), found)

    return jax.lax.cond(chosen.sum() <= most, gathered, lambda: by_blocks(special, *images))
