"""Masks that spread to neighbouring pixels.

Image by image, so that the mask exists before it is spread: XLA would else compute what it is made of anew for every
neighbour (the jump step took three times as long). Eight masks go as the bits of one image of bytes.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, UInt8


def _shifted(mask: UInt8[Array, "y x"], step: int, axis: int) -> UInt8[Array, "y x"]:
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

    def spread(image: UInt8[Array, "y x"]) -> UInt8[Array, "y x"]:
        for axis in (0, 1):
            grown = image
            for step in range(1, radius + 1):
                grown = grown | _shifted(image, step, axis) | _shifted(image, -step, axis)
            image = grown
        return image

    return _each(spread, mask)


def cross(mask: Bool[Array, "... y x"]) -> Bool[Array, "... y x"]:
    """True at every True pixel and its four neighbours."""

    def spread(image: UInt8[Array, "y x"]) -> UInt8[Array, "y x"]:
        grown = image
        for axis in (0, 1):
            grown = grown | _shifted(image, 1, axis) | _shifted(image, -1, axis)
        return grown

    return _each(spread, mask)


def _each(spread: Callable[[Array], Array], mask: Bool[Array, "... y x"]) -> Bool[Array, "... y x"]:
    images = mask.reshape(-1, *mask.shape[-2:])
    return _apart(jax.lax.map(spread, _together(images)))[: len(images)].reshape(mask.shape)


def _together(images: Bool[Array, "n y x"]) -> UInt8[Array, "byte y x"]:
    """Image n as the bit n % 8 of byte n // 8."""
    bytes_of = -(-len(images) // 8)

    def bit(number: int) -> UInt8[Array, "byte y x"]:
        each = images[number::8].astype(jnp.uint8) << number
        return jnp.pad(each, ((0, bytes_of - len(each)), (0, 0), (0, 0)))

    return functools.reduce(jnp.bitwise_or, map(bit, range(min(8, len(images)))))


def _apart(packed: UInt8[Array, "byte y x"]) -> Bool[Array, "image y x"]:
    number = jnp.arange(8, dtype=jnp.uint8)[:, None, None]
    return ((packed[:, None] >> number) & 1 != 0).reshape(-1, *packed.shape[1:])
