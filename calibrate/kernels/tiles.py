"""Sums down the columns of many images, tile by tile, so that what is multiplied on the way stays in the cache."""

from collections.abc import Callable
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

# fewest rows and columns of a tile: of fewer rows XLA makes products again for every sum
ROWS, COLUMNS = 16, 128


def summed(of_tile: Callable[[Any], Any], planes: Any) -> Any:
    """Sum over all rows what `of_tile` sums over the rows of a tile: of planes (..., y, x) it makes sums (..., x).

    Both are pytrees; `of_tile` must be additive over rows. All that is asked of the same planes is best asked at once:
    reading an image costs as much as some seven products. Derivatives are those of `of_tile` of all rows at once.
    """

    @jax.custom_jvp
    def sums(planes: Any) -> Any:
        return _by_tile(of_tile, planes)

    @sums.defjvp
    def _derivative(primals: Any, tangents: Any) -> tuple[Any, Any]:
        return sums(*primals), jax.jvp(of_tile, primals, tangents)[1]

    return sums(planes)


def _by_tile(of_tile: Callable[[Any], Any], planes: Any) -> Any:
    height, width = _size(planes)
    rows, columns = _parts(height, ROWS), _parts(width, COLUMNS)
    tile = height // rows, width // columns

    def down(column: Int[Array, ""]) -> Any:
        def cut(plane: Array, row: Int[Array, ""]) -> Array:
            corner = (0,) * (plane.ndim - 2) + (row * tile[0], column * tile[1])
            return jax.lax.dynamic_slice(plane, corner, (*plane.shape[:-2], *tile))

        def of_row(row: Int[Array, ""]) -> Any:
            return of_tile(jax.tree.map(lambda plane: cut(plane, row), planes))

        return jax.lax.fori_loop(0, rows, lambda row, found: jax.tree.map(add, found, of_row(row)), _nothing(of_row, 0))

    found = jax.lax.map(down, jnp.arange(columns))
    return jax.tree.map(lambda f: jnp.moveaxis(f, 0, -2).reshape(*f.shape[1:-1], -1), found)


def _size(planes: Any) -> tuple[int, int]:
    return jax.tree.leaves(planes)[0].shape[-2:]


def _parts(length: int, least: int) -> int:
    """Give the largest number of equal parts of at least so many pixels."""
    return next((parts for parts in range(length // least, 1, -1) if length % parts == 0), 1)


def _nothing(function: Callable[[Any], Any], given: Any) -> Any:
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(function, given))
