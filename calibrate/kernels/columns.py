"""Bare array maths of overlapping spectra: each column's pixels as a sum of known shapes, solved for their amounts.

Images have shape (n, y, x), light is dispersed along x; a column is solved by itself. With k shapes a column reduces to
k sums of the data and k (k + 1) / 2 of the weights, so nothing larger is ever solved. `added` and `pairs` are sums of
one tile (`kernels/tiles.py`), for whoever asks several of the same images; `total`, `crossed` and `gram` of whole ones.
"""

from functools import partial, reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels import tiles
from uptheramp.calibrate.kernels.pixels import zeroed

Images = Bool[Array, "n y x"] | Float[Array, "n y x"]  # what is true counts as 1
Matrix = Float[Array, "n shape shape x"]


@jax.custom_jvp
def _written_out(image: Float[Array, "n y x"], maps: Float[Array, "map y x"]) -> Float[Array, "n map x"]:
    return reduce(add, (image[:, None, row] * maps[:, row] for row in range(image.shape[1])))


@_written_out.defjvp
def _in_one_piece(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    """Derivatives are asked of all rows (`tiles.summed`), of which sums are not written out."""
    return _written_out(*primals), jax.jvp(partial(jnp.einsum, "nyx,myx->nmx"), primals, tangents)[1]


@jax.jit  # traced once for all maps of a shape
def added(image: Float[Array, "n y x"], maps: Float[Array, "map y x"]) -> Float[Array, "n map x"]:
    """Sum over the rows of a tile of each map times each image, written out row by row."""
    return _written_out(image, maps)


def pairs(
    image: Float[Array, "n y x"], left: Float[Array, "map y x"], right: Float[Array, "map y x"]
) -> list[Float[Array, "n _ x"]]:
    """Sum over the rows of a tile `image` times left a times right b: for each a those of the b from a on."""
    return [added(image, left[a] * right[a:]) for a in range(len(left))]


def symmetric(upper: list[Float[Array, "n _ x"]]) -> Matrix:
    """Make matrices of their `pairs`."""
    count = range(len(upper))
    return jnp.stack([jnp.stack([upper[min(a, b)][:, abs(a - b)] for b in count], 1) for a in count], 1)


def total(
    maps: Float[Array, "map y x"], images: Images, good: Bool[Array, "n y x"] | None = None
) -> Float[Array, "n map x"]:
    """Sum over a column of each map times each image, of which `good` pixels count where it is given."""

    def of_tile(planes: Any) -> Any:
        maps, image, seen = planes
        return added(_counted(image, seen, maps.dtype), maps)

    return tiles.summed(of_tile, (maps, images, good))


def crossed(
    left: Float[Array, "left y x"], right: Float[Array, "right y x"], images: Images
) -> Float[Array, "n left right x"]:
    """Sum over a column of the products of two maps, weighted by each image."""

    def of_tile(planes: Any) -> Any:
        left, right, image = planes
        return [added(image.astype(left.dtype), one * right) for one in left]

    return jnp.stack(tiles.summed(of_tile, (left, right, images)), 1)


def gram(
    maps: Float[Array, "map y x"],
    images: Images,
    good: Bool[Array, "n y x"] | None = None,
    weight: Float[Array, "y x"] | None = None,
) -> Float[Array, "n map map x"]:
    """Sum over a column of the products of every two maps, weighted by each image and by `weight`; `good` as above."""

    def of_tile(planes: Any) -> Any:
        left, maps, image, seen = planes
        return pairs(_counted(image, seen, maps.dtype), left, maps)

    left = maps if weight is None else maps * weight
    return symmetric(tiles.summed(of_tile, (left, maps, images, good)))


def _counted(images: Array, good: Array | None, dtype: Any) -> Float[Array, "n y x"]:
    """Give the images as sums take them."""
    return images.astype(dtype) if good is None else zeroed(images, good)


def times(left: Float[Array, "n k l x"], right: Float[Array, "n l m x"]) -> Float[Array, "n k m x"]:
    """Matrix product in every column, written out over whole planes, which XLA would turn first."""
    return reduce(add, (left[:, :, m, None] * right[:, m][:, None] for m in range(left.shape[2])))


def applied(matrix: Float[Array, "n k l x"], vector: Float[Array, "n l x"]) -> Float[Array, "n k x"]:
    """Matrix times vector in every column."""
    return times(matrix, vector[:, :, None])[:, :, 0]


def between(left: Float[Array, "n shape map x"], matrix: Matrix) -> Float[Array, "n shape shape x"]:
    """`left matrix left^T` in every column."""
    return times(times(left, matrix), left.swapaxes(1, 2))


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
