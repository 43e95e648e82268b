"""Flag what is saturated, or at the floor of the converter."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.kernels import grow
from uptheramp.calibrate.references.saturation import NEVER, Saturation
from uptheramp.calibrate.references.superbias import Superbias
from uptheramp.calibrate.stage1 import zeroframe
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step


class SaturationRefs(eqx.Module):
    """What saturation takes from the library."""

    saturation: Saturation
    superbias: Superbias | None


class SaturationParams(eqx.Module):
    """`n_pix_grow_sat`: how far flags spread, pixels; `use_readpatt`: look for saturation hidden by averaging."""

    n_pix_grow_sat: int = eqx.field(static=True, default=1)
    use_readpatt: bool = eqx.field(static=True, default=True)


@step(cite="jwst 3.0.0 saturation")
def saturation(state: Ramps, refs: SaturationRefs, params: SaturationParams) -> tuple[Ramps, None]:
    """Flag SATURATED the raw groups at or above the threshold, all later ones, and their neighbours.

    Groups at or below 0 DN become AD_FLOOR | DO_NOT_USE; groups of averaged frames that saturated only in part
    DO_NOT_USE. What is saturated or at the floor in the ZEROFRAME becomes 0 there. In IRS2 frames second groups alone
    are looked at for that, and become SATURATED with their neighbours, as in the official step.
    """
    threshold, raw, radius = refs.saturation.data, state.data, params.n_pix_grow_sat
    saturated = jax.lax.associative_scan(jnp.logical_or, raw >= threshold, axis=1)
    saturated = grow.box(saturated | _has(state.groupdq, flags.SATURATED), radius)
    floor = raw <= 0
    unusable = floor
    if params.use_readpatt and state.interleaved is not None and raw.shape[1] > 2:
        hit = _second(raw, refs, state.readout.nframes) & (raw[:, 2] >= threshold)
        saturated = saturated.at[:, 1].set(saturated[:, 1] | grow.box(hit, radius))
    elif params.use_readpatt and state.readout.nframes > 1:
        unusable = unusable | _partly(state, refs, saturated, floor, radius)
    groupdq = (
        state.groupdq
        | jnp.where(saturated, flags.SATURATED, 0).astype(jnp.uint8)
        | jnp.where(floor, flags.AD_FLOOR, 0).astype(jnp.uint8)
        | jnp.where(unusable, flags.DO_NOT_USE, 0).astype(jnp.uint8)
    )
    pixeldq = state.pixeldq | refs.saturation.dq

    def usable(frame: Array) -> Array:
        return jnp.where(grow.box(frame >= threshold, radius) | (frame <= 0), 0, frame)

    first = zeroframe.corrected(state.zeroframe, usable)
    return replace(state, groupdq=groupdq, pixeldq=pixeldq, zeroframe=first), None


def _has(dq: Array, bit: int) -> Bool[Array, "..."]:
    return (dq & bit) != 0


def _partly(
    state: Ramps,
    refs: SaturationRefs,
    saturated: Bool[Array, "integration group y x"],
    floor: Bool[Array, "integration group y x"],
    radius: int,
) -> Bool[Array, "integration group y x"]:
    """Groups of averaged frames whose last frames saturated although their mean did not."""
    n, raw = state.readout.nframes, state.data
    number = jnp.arange(raw.shape[1], dtype=raw.dtype)[:, None, None]
    # the mean of a straight ramp that reaches the threshold in the last frame of a group
    share = (number * n + 0.5 * (n + 1)) / (number * n + n)
    threshold = refs.saturation.data
    reached = raw >= jnp.where(threshold >= NEVER, threshold, threshold * share)
    free = ~saturated & ~floor & ~_has(state.groupdq, flags.DO_NOT_USE)
    follows = jnp.concatenate([saturated[:, 1:], jnp.zeros_like(saturated[:, :1])], axis=1)
    partly = grow.box(reached & free & follows, radius)
    if raw.shape[1] < 3:
        return partly
    second = _second(raw, refs, n) & saturated[:, 2] & ~saturated[:, 1]
    return partly.at[:, 1].set(partly[:, 1] | second)


def _second(
    raw: Float[Array, "integration group y x"],
    refs: SaturationRefs,
    nframes: int,
) -> Bool[Array, "integration y x"]:
    """Second groups that rise enough for a hit in their last frame, where the third would not saturate without one."""
    threshold = refs.saturation.data
    bias = 0 if refs.superbias is None else refs.superbias.data
    first = raw[:, 0] - bias
    expected = first / (0.5 * (nframes + 1)) * (3 * nframes) + bias
    jumped = raw[:, 1] - raw[:, 0] > (threshold - raw[:, 0]) / nframes
    return (expected < threshold) & jumped
