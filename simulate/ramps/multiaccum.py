"""MULTIACCUM: frames to groups, as the flight software does it."""

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt16

from uptheramp.calibrate.instruments.core import Readout


def reads_per_integration(readout: Readout) -> int:
    """Frames clocked in an integration; after the last group no gap is clocked."""
    return (readout.ngroups - 1) * readout.frames_per_group + readout.nframes


def group_sums(frames: Float[Array, "frame y x"], readout: Readout) -> Float[Array, "group y x"]:
    """Sum of the frames of each group; the frames of the gap are dropped."""
    step = readout.frames_per_group
    length = (readout.ngroups - 1) * step + 1
    total = frames[0:length:step]
    for k in range(1, readout.nframes):
        total = total + frames[k : k + length : step]
    return total


def averaged(frames: Float[Array, "frame y x"], readout: Readout) -> UInt16[Array, "group y x"]:
    """Return groups of whole DN: the sum divided by the frame divisor, the remainder lost, as on board."""
    total = group_sums(frames, readout).astype(jnp.int32)
    return (total // readout.frame_divisor).astype(jnp.uint16)


def truncation_variance(readout: Readout) -> float:
    """Variance of the remainder that is lost, 0 ... n - 1 parts of the divisor n alike often: (n^2 - 1) / 12 n^2."""
    n = readout.frame_divisor
    return (n**2 - 1) / (12 * n**2)


def mean(frames: Float[Array, "frame y x"], readout: Readout) -> Float[Array, "group y x"]:
    """Return groups without rounding."""
    return group_sums(frames, readout) / readout.frame_divisor
