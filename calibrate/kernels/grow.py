"""Masks that spread to neighbouring pixels."""

import jax.numpy as jnp
from jaxtyping import Array, Bool


def _shifted(mask: Bool[Array, "... y x"], step: int, axis: int) -> Bool[Array, "... y x"]:
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
    for axis in (-2, -1):
        grown = mask
        for step in range(1, radius + 1):
            grown = grown | _shifted(mask, step, axis) | _shifted(mask, -step, axis)
        mask = grown
    return mask


def cross(mask: Bool[Array, "... y x"]) -> Bool[Array, "... y x"]:
    """True at every True pixel and its four neighbours."""
    grown = mask
    for axis in (-2, -1):
        grown = grown | _shifted(mask, 1, axis) | _shifted(mask, -1, axis)
    return grown
