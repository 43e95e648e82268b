"""Bare array maths of overlapping spectra: each column's pixels as a sum of known shapes, solved for their amounts.

Images have shape (n, y, x), light is dispersed along x; a column is solved by itself. With k shapes a column reduces to
k sums of the data and k (k + 1) / 2 of the weights, so nothing larger is ever solved. The sums over y are written as
`einsum`, which a CPU does some 20 times faster than reductions of a middle axis.
"""

from itertools import combinations_with_replacement

import jax.numpy as jnp
from jaxtyping import Array, Float

Matrix = Float[Array, "n shape shape x"]


def total(maps: Float[Array, "map y x"], images: Float[Array, "n y x"]) -> Float[Array, "n map x"]:
    """Sum over a column of each map times each image."""
    return jnp.einsum("myx,nyx->nmx", maps, images)


def gram(maps: Float[Array, "map y x"], weight: Float[Array, "n y x"]) -> Float[Array, "n map map x"]:
    """Sum over a column of the products of every two maps, weighted: each pair is summed once."""
    count = len(maps)
    pairs = list(combinations_with_replacement(range(count), 2))
    sums = total(jnp.stack([maps[a] * maps[b] for a, b in pairs]), weight)
    index = {pair: k for k, pair in enumerate(pairs)}
    return jnp.stack(
        [jnp.stack([sums[:, index[min(a, b), max(a, b)]] for b in range(count)], 1) for a in range(count)], 1
    )


def influence(
    maps: Float[Array, "map y x"],
    weight: Float[Array, "y x"],
    seen: Float[Array, "n y x"],
    mix: Float[Array, "n shape map x"],
    precision: Float[Array, "shape x"],
) -> Float[Array, "n y x"]:
    """How much each pixel adds to the amount of the first shape: sum_y h d is that amount, by weighted least squares.

    The shapes of an image are sums of the maps, `mix @ maps`; `precision` is the inverse variance of what is known of
    each amount beforehand, about 0. `seen` is 1 for the pixels that take part.
    """
    normal = jnp.einsum("nsmx,nmlx,ntlx->nstx", mix, gram(maps, seen * weight), mix)
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
