"""Bare array maths of overlapping spectra: each column's pixels as a sum of known shapes, solved for their amounts.

Images have shape (n, y, x), light is dispersed along x; a column is solved by itself. With k shapes a column reduces to
k sums of the data and k (k + 1) / 2 of the weights, so nothing larger is ever solved.
"""

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from uptheramp.calibrate.kernels.pixels import zeroed

Images = Bool[Array, "n y x"] | Float[Array, "n y x"]  # what is true counts as 1
Matrix = Float[Array, "n shape shape x"]

TILE = (16, 256)  # rows and columns of all maps that stay in the cache


def _tiled(of_row: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    """Sum `of_row` of images (n, x) and sets of maps (map, x) over the rows, tile by tile.

    Images lose their bad pixels in the tile, so that none is written down once more. `plain` gives the same sums by
    `einsum`, for images that are not made of tiles and for derivatives. That turns the images first, and writes
    products of maps down, so it takes several times as long on a CPU.
    """

    def at_once(images: Array, good: Array | None, *maps: Array) -> Any:
        return plain(_counted(images, good, maps[0].dtype), *maps)

    @jax.custom_jvp
    def sums(images: Array, good: Array | None, *maps: Array) -> Any:
        if any(size == 0 or size % part for size, part in zip(images.shape[1:], TILE, strict=True)):
            return at_once(images, good, *maps)
        rows, columns = (size // part for size, part in zip(images.shape[1:], TILE, strict=True))

        def down(column: Int[Array, ""]) -> Any:
            def of_tile(row: Int[Array, ""]) -> Any:
                corner = (0, row * TILE[0], column * TILE[1])
                cut = jax.tree.map(lambda p: jax.lax.dynamic_slice(p, corner, (len(p), *TILE)), (images, good, maps))
                image = _counted(cut[0], cut[1], maps[0].dtype)
                return reduce(_both, (of_row(*(c[:, k] for c in (image, *cut[2]))) for k in range(TILE[0])))

            start = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(of_tile, 0))
            return jax.lax.fori_loop(0, rows, lambda row, found: _both(found, of_tile(row)), start)

        tiles = jax.lax.map(down, jnp.arange(columns))
        return jax.tree.map(lambda t: jnp.moveaxis(t, 0, -2).reshape(*t.shape[1:-1], -1), tiles)

    @sums.defjvp
    def _derivative(primals: Any, tangents: Any) -> tuple[Any, Any]:
        return sums(*primals), jax.jvp(at_once, primals, tangents)[1]

    return sums


def _counted(images: Array, good: Array | None, dtype: Any) -> Float[Array, "n y x"]:
    """Give the images as sums take them."""
    return images.astype(dtype) if good is None else zeroed(images, good)


def _both(left: Any, right: Any) -> Any:
    return jax.tree.map(add, left, right)


_total = _tiled(
    lambda image, maps: image[:, None] * maps,
    lambda images, maps: jnp.einsum("nyx,myx->nmx", images, maps),
)
_crossed = _tiled(
    lambda image, left, right: [(image * one)[:, None] * right for one in left],
    lambda images, left, right: [jnp.einsum("nyx,myx->nmx", images, one * right) for one in left],
)
_gram = _tiled(  # each pair once
    lambda image, left, maps: [(image * left[a])[:, None] * maps[a:] for a in range(len(maps))],
    lambda images, left, maps: [jnp.einsum("nyx,myx->nmx", images, left[a] * maps[a:]) for a in range(len(maps))],
)


def total(
    maps: Float[Array, "map y x"], images: Images, good: Bool[Array, "n y x"] | None = None
) -> Float[Array, "n map x"]:
    """Sum over a column of each map times each image, of which `good` pixels count where it is given."""
    return _total(images, good, maps)


def crossed(
    left: Float[Array, "left y x"], right: Float[Array, "right y x"], images: Images
) -> Float[Array, "n left right x"]:
    """Sum over a column of the products of two maps, weighted by each image."""
    return jnp.stack(_crossed(images, None, left, right), 1)


def gram(
    maps: Float[Array, "map y x"],
    images: Images,
    good: Bool[Array, "n y x"] | None = None,
    weight: Float[Array, "y x"] | None = None,
) -> Float[Array, "n map map x"]:
    """Sum over a column of the products of every two maps, weighted by each image and by `weight`; `good` as above."""
    left = maps if weight is None else maps * weight
    upper, count = _gram(images, good, left, maps), range(len(maps))
    return jnp.stack([jnp.stack([upper[min(a, b)][:, abs(a - b)] for b in count], 1) for a in count], 1)


def between(left: Float[Array, "n shape map x"], matrix: Matrix) -> Float[Array, "n shape shape x"]:
    """`left matrix left^T` in every column, written out over whole planes."""
    maps = range(left.shape[2])
    half = reduce(add, (left[:, :, m, None] * matrix[:, m][:, None] for m in maps))
    return reduce(add, (half[:, :, m, None] * left[:, None, :, m] for m in maps))


def influence(
    maps: Float[Array, "map y x"],
    weight: Float[Array, "y x"],
    seen: Bool[Array, "n y x"],
    mix: Float[Array, "n shape map x"],
    precision: Float[Array, "shape x"],
) -> Float[Array, "n y x"]:
    """How much each pixel adds to the amount of the first shape: sum_y h d is that amount, by weighted least squares.

    The shapes of an image are sums of the maps, `mix @ maps`; `precision` is the inverse variance of what is known of
    each amount beforehand, about 0. `seen` are the pixels that take part.
    """
    normal = jnp.einsum("nsmx,nmlx,ntlx->nstx", mix, gram(maps, seen, weight=weight), mix)
    normal = normal + jnp.eye(len(precision), dtype=normal.dtype)[:, :, None] * precision
    by_map = jnp.einsum("nsx,nsmx->nmx", inverse(normal)[:, 0], mix)
    return seen * jnp.einsum("nmx,myx->nyx", by_map, maps * weight)


def inverse(normal: Matrix) -> Matrix:
    """Invert positive semi-definite matrices by Cholesky, written out over whole planes; absent shapes stay out.

    Shapes are scaled to a unit diagonal first, on which a ridge of ten roundings keeps columns where two shapes cannot
    be told apart finite. A shape without weight in a column has rows and columns of zeros.
    """
    count = normal.shape[1]
    diagonal = jnp.stack([normal[:, k, k] for k in range(count)], 1)
    present = diagonal > 0
    scale = jnp.where(present, 1 / jnp.sqrt(jnp.where(present, diagonal, 1)), 0)
    ridge = 10 * jnp.finfo(normal.dtype).eps
    a = normal * scale[:, :, None] * scale[:, None, :]
    # absent shapes: a one on the diagonal, so that the factor exists
    eye = jnp.eye(count, dtype=normal.dtype)[None, :, :, None]
    a = a + eye * (ridge + jnp.where(present, 0, 1)[:, :, None])
    low = _cholesky(a)
    columns = [_solve(low, [jnp.full_like(a[:, 0, 0], float(row == k)) for row in range(count)]) for k in range(count)]
    unscaled = jnp.stack([jnp.stack(column, 1) for column in columns], 2)
    return unscaled * scale[:, :, None] * scale[:, None, :]


def _cholesky(a: Matrix) -> list[list[Float[Array, "n x"]]]:
    """Lower factor, as planes by row and column."""
    low: list[list[Float[Array, "n x"]]] = []
    for i in range(a.shape[1]):
        row: list[Float[Array, "n x"]] = []
        for j in range(i):
            row.append((a[:, i, j] - _dot(row, low[j], j)) / low[j][j])
        # rounding may leave nothing of a shape that others make up
        rest = jnp.maximum(a[:, i, i] - _dot(row, row, i), jnp.finfo(a.dtype).eps)
        low.append([*row, jnp.sqrt(rest)])
    return low


def _solve(low: list[list[Float[Array, "n x"]]], right: list[Float[Array, "n x"]]) -> list[Float[Array, "n x"]]:
    """Solve L L^T x = right."""
    count = len(low)
    half: list[Float[Array, "n x"]] = []
    for i in range(count):
        half.append((right[i] - _dot(low[i], half, i)) / low[i][i])
    out: list[Float[Array, "n x"]] = []  # from the last row up
    for i in reversed(range(count)):
        rest = half[i] - sum(
            (low[j][i] * out[count - 1 - j] for j in range(i + 1, count)), start=jnp.zeros_like(half[i])
        )
        out.append(rest / low[i][i])
    return out[::-1]


def _dot(left: list[Float[Array, "n x"]], right: list[Float[Array, "n x"]], count: int) -> Float[Array, "n x"] | float:
    """Sum the products of the first planes."""
    return sum((left[k] * right[k] for k in range(count)), start=0.0)
