"""Frames that a group averages, made linear one by one: the official way, by a polynomial and its inverse."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.kernels.polynomial import horner

Data = Float[Array, "integration group y x"]


def corrected(
    data: Data,
    saturated: Bool[Array, "integration group y x"],
    coeffs: Float[Array, "n y x"],
    inverse: Float[Array, "m y x"],
    readout: Readout,
) -> Data:
    """Mean over the frames of each group of their corrected levels (DN); saturated groups are not meant to be used.

    The frames are those of a straight ramp from the first group to the last good one but one (the last may be
    saturated in part), observed by the inverse, and shifted so that their mean is what was read. The official code
    forgets the frames that are dropped between groups. Source: stcal 1.20.0 linearity.
    """
    r = readout
    safe = jnp.where(saturated, 0, data)

    def linear(level: Array, lost: Array) -> Array:
        return jnp.where(lost, level, horner(coeffs, jnp.where(lost, 0, level)))

    number = jnp.clip((~saturated).sum(1) - 2, 1, r.ngroups - 1)[:, None]
    last = (jnp.take_along_axis(x, number, axis=1)[:, 0] for x in (data, saturated))
    start = linear(data[:, 0], saturated[:, 0])
    per_frame = (linear(*last) - start) / (number[:, 0] * r.frames_per_group)

    def group(x: tuple[Array, Array]) -> Array:
        index, read = x
        since = [index * r.frames_per_group + frame - (r.nframes - 1) / 2 for frame in range(r.nframes)]
        frames = jnp.stack([horner(inverse, start + per_frame * time) for time in since])
        return horner(coeffs, frames + (read - frames.mean(0))).mean(0)

    index = jnp.arange(r.ngroups, dtype=data.dtype)
    return jnp.moveaxis(jax.lax.map(group, (index, jnp.moveaxis(safe, 1, 0))), 0, 1)
