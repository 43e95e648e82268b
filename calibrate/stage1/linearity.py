"""Make the ramps linear."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.kernels.polynomial import horner
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.calibrate.stage1 import frames_of_groups, zeroframe
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step


class LinearityRefs(eqx.Module):
    """What linearity takes from the library."""

    linearity: Linearity


class LinearityParams(eqx.Module):
    """`frames_within_groups`: correct the frames that a group averages, and not their average."""

    frames_within_groups: bool = eqx.field(static=True, default=False)


@step(cite="jwst 3.0.0 linearity")
def linearity(state: Ramps, refs: LinearityRefs, params: LinearityParams) -> tuple[Ramps, None]:
    """Replace each group that is not saturated by `p(data) = sum_n coeffs[n] data^n` (DN).

    With `frames_within_groups` the mean of p over the n frames of a group: `p(data) + p''(data) s^2 (n^2 - 1) / 24`, s
    the signal that one frame adds. Without it, a reference that knows the inverse has the same done the official way.
    """
    keep = (state.groupdq & flags.SATURATED) != 0
    safe = jnp.where(keep, 0, state.data)
    coeffs = refs.linearity.coeffs
    n, inverse = state.readout.nframes, refs.linearity.inverse
    by_inverse = inverse is not None and n > 1 and state.readout.ngroups > 1 and not params.frames_within_groups
    if by_inverse:
        straight = frames_of_groups.corrected(state.data, keep, coeffs, inverse, state.readout)
    else:
        straight = horner(coeffs, safe)
    if params.frames_within_groups and n > 1 and len(coeffs) > 2:
        degree = jnp.arange(len(coeffs), dtype=coeffs.dtype)[:, None, None]
        curvature = horner((degree * (degree - 1) * coeffs)[2:], safe)
        straight = straight + curvature * signal_per_frame(safe, keep, state.readout) ** 2 * ((n**2 - 1) / 24)
    data = jnp.where(keep, state.data, straight)
    first = zeroframe.corrected(state.zeroframe, lambda frame: horner(coeffs, frame))
    return replace(state, data=data, pixeldq=state.pixeldq | refs.linearity.dq, zeroframe=first), None


def signal_per_frame(
    data: Float[Array, "integration group y x"], saturated: Bool[Array, "integration group y x"], readout: Readout
) -> Float[Array, "integration group y x"]:
    """What one frame adds (DN): the mean of the differences to both neighbours, of those that are not saturated."""
    rise = jnp.where(saturated[:, 1:], 0, jnp.diff(data, axis=1))  # saturation lasts: the later group decides
    usable = (~saturated[:, 1:]).astype(data.dtype)
    end = ((0, 0), (0, 1), (0, 0), (0, 0))
    start = ((0, 0), (1, 0), (0, 0), (0, 0))
    total = jnp.pad(rise, end) + jnp.pad(rise, start)
    count = jnp.pad(usable, end) + jnp.pad(usable, start)
    return total / jnp.maximum(count, 1) / readout.frames_per_group
