"""The running median along the first axis, ignoring what is not finite."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Cube = Float[Array, "time *pixel"]


def median(data: Cube) -> Float[Array, "*pixel"]:
    """Median of the finite values along the first axis; NaN where there is none."""
    ordered = jnp.sort(jnp.where(jnp.isfinite(data), data, jnp.inf), axis=0)
    return _middle(ordered, jnp.sum(jnp.isfinite(data), 0))


def rolling_median(data: Cube, width: int) -> Cube:
    """Median over `width` neighbours centred on each time (the window reaches one further back where width is even).

    Where the window would reach beyond the ends, the value of the nearest full window stands. The window is kept sorted
    and one value replaced per step, which costs `width` comparisons instead of a sort; it is filled in the same way,
    since sorting along the first axis is slow.
    """
    filled = jnp.where(jnp.isfinite(data), data, jnp.inf)
    empty = jnp.full_like(filled[:width], jnp.inf)

    def slide(carry: tuple[Array, Array], change: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        window, count = carry
        leaving, entering = change
        window = _replace(window, leaving, entering)
        count = count - jnp.isfinite(leaving) + jnp.isfinite(entering)
        return (window, count), _middle(window, count)

    full, _ = jax.lax.scan(
        lambda c, x: (slide(c, x)[0], None), (empty, jnp.zeros(data.shape[1:], int)), (empty, filled[:width])
    )
    _, rest = jax.lax.scan(slide, full, (filled[:-width], filled[width:]))
    centred = jnp.concatenate([_middle(*full)[None], rest])
    before = width // 2
    return jnp.pad(centred, [(before, width - 1 - before)] + [(0, 0)] * (data.ndim - 1), mode="edge")


def _replace(ordered: Cube, leaving: Float[Array, "*pixel"], entering: Float[Array, "*pixel"]) -> Cube:
    """Take one value out of a sorted stack and put another in, keeping it sorted."""
    highest = jnp.full_like(ordered[:1], jnp.inf)
    above = jnp.concatenate([ordered[1:], highest])
    remaining = jnp.where(ordered < leaving, ordered, above)  # sorted, the last plane free
    below = jnp.concatenate([-highest, remaining[:-1]])
    return jnp.maximum(below, jnp.minimum(remaining, entering))


def _middle(ordered: Cube, count: Int[Array, "*pixel"]) -> Float[Array, "*pixel"]:
    """Median of the first `count` planes of a sorted stack; NaN where there is none."""
    low, high = (jnp.take_along_axis(ordered, jnp.maximum(k, 0)[None], 0)[0] for k in ((count - 1) // 2, count // 2))
    # equal planes are not averaged: the sum of two large values may overflow or round
    return jnp.where(count > 0, jnp.where(low == high, low, (low + jnp.where(count > 0, high, 0)) / 2), jnp.nan)
