"""Masks that spread to neighbouring pixels.

Image by image, so that the mask exists before it is spread: XLA would else compute what it is made of anew for every
neighbour (the jump step took three times as long).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool


def _shifted(mask: Bool[Array, "y x"], step: int, axis: int) -> Bool[Array, "y x"]:
    size = mask.shape[axis]
    pad = [(0, 0)] * mask.ndim
    pad[axis] = (max(step, 0), max(-step, 0))
    padded = jnp.pad(mask, pad)
    start = max(-step, 0)
    index = [slice(None)] * mask.ndim
    index[axis] = slice(start, start + size)
    return padded[tuple(index)]


def box(mask: Bool[Array, "... y x"], radius: int) -> Bool[Array, "... y x"]:
    """True within a square of (2 radius + 1)^2 around every True pixel."""

    def spread(image: Bool[Array, "y x"]) -> Bool[Array, "y x"]:
        for axis in (0, 1):
            grown = image
            for step in range(1, radius + 1):
                grown = grown | _shifted(image, step, axis) | _shifted(image, -step, axis)
            image = grown
        return image

    return _each(spread, mask)


def cross(mask: Bool[Array, "... y x"]) -> Bool[Array, "... y x"]:
    """True at every True pixel and its four neighbours."""

    def spread(image: Bool[Array, "y x"]) -> Bool[Array, "y x"]:
        grown = image
        for axis in (0, 1):
            grown = grown | _shifted(image, 1, axis) | _shifted(image, -1, axis)
        return grown

    return _each(spread, mask)


def _each(spread: Callable[[Array], Array], mask: Bool[Array, "... y x"]) -> Bool[Array, "... y x"]:
    return jax.lax.map(spread, mask.reshape(-1, *mask.shape[-2:])).reshape(mask.shape)
