"""What passes between neighbouring pixels; whatever one gives the other gets."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Pairwise = Callable[[Any, Any, int], Float[Array, "..."]]  # (pixels, their neighbours along x (0) or y (1), axis)


def pairs(pixels: Any, of: Pairwise) -> tuple[Float[Array, "*frame y x_1"], Float[Array, "*frame y_1 x"]]:
    """Return `of` each pixel and the next, along x and along y; at both ends, of the edge pixel with itself.

    `pixels` is a tree of images (..., y, x), of which `of` sees two neighbouring cuts.
    """
    wide = jax.tree.map(lambda image: jnp.pad(image, [(0, 0)] * (image.ndim - 2) + [(1, 1)] * 2, mode="edge"), pixels)

    def cut(y: slice, x: slice) -> Any:
        return jax.tree.map(lambda image: image[..., y, x], wide)

    inner, lower, upper = slice(1, -1), slice(None, -1), slice(1, None)
    return of(cut(inner, lower), cut(inner, upper), 0), of(cut(lower, inner), cut(upper, inner), 1)


def received(pixels: Any, gives: Pairwise) -> Float[Array, "*frame y x"]:
    """Return what each pixel gets from its four neighbours less what it gives.

    Equal pixels must give each other nothing: so nothing crosses the edge of the window.
    """
    x, y = pairs(pixels, gives)
    return x[..., :-1] - x[..., 1:] + y[..., :-1, :] - y[..., 1:, :]


def about(x: Float[Array, "*frame y x_1"], y: Float[Array, "*frame y_1 x"]) -> Float[Array, "*frame y x"]:
    """Sum of what `pairs` gives over the four pairs of each pixel; none cross the edge of the window."""
    x, y = inside(x, y)
    return x[..., :-1] + x[..., 1:] + y[..., :-1, :] + y[..., 1:, :]


def inside(x: Float[Array, "*frame y x_1"], y: Float[Array, "*frame y_1 x"]) -> tuple[Array, Array]:
    """Return what `pairs` gives with zero for the pairs across the edge of the window."""
    return (
        x.at[..., 0].set(0).at[..., -1].set(0),
        y.at[..., 0, :].set(0).at[..., -1, :].set(0),
    )
