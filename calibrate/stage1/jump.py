"""Find cosmic-ray hits in the ramps."""

import math
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import clipped, grow, planes, ramp_gls, two_point
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.stage1 import jump_series, showers, snowballs
from uptheramp.calibrate.stage1.differences import difference_at, differences
from uptheramp.calibrate.stage1.learned import DifferenceTemplate, SeriesTemplate
from uptheramp.calibrate.stage1.showers import ShowerParams
from uptheramp.calibrate.stage1.snowballs import SnowballParams
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step

FEWEST_GROUPS = 3
CLIP_ROUNDS = 5
MEDIAN_VARIANCE = math.pi / 2  # of the median of Gaussian samples, times their number over their variance


class JumpRefs(eqx.Module):
    """What jump takes from the library; the template is learned on a sample of the exposure."""

    gain: Gain
    readnoise: ReadNoise
    difference_template: DifferenceTemplate | SeriesTemplate | None


class JumpParams(SnowballParams, ShowerParams):
    """Names and defaults of the official step.

    `expectation` says what a difference is compared with: "exposure", what the pixel does over the exposure in hand as
    the official step has it; "template", the pixel's median at that group in a sample of the exposure, scaled by the
    brightness of the integration; or "series", the same with all groups of the ramp in the test (`jump_series.py`).
    `decision` "soft" (of "series") keeps each difference by the probability that it is no jump instead of flagging it,
    by a logistic function `temperature` standard deviations wide, which can be differentiated and tends to "hard" as
    the temperature goes to 0. With "exposure" the test is the two-point one below `minimum_sigclip_groups`
    integrations (groups, unless `only_use_ints`), and from there on sigma clipping of each difference across the
    integrations (across all differences, unless `only_use_ints`). Jumps above `after_jump_flag_dn1` (DN) also flag the
    groups of the next `after_jump_flag_time1` seconds, and again with 2. `expand_large_events` and `find_showers`, both
    off by default, turn on what `SnowballParams` and `ShowerParams` describe.
    """

    rejection_threshold: float | jax.Array = 4.0
    three_group_rejection_threshold: float | jax.Array = 6.0
    four_group_rejection_threshold: float | jax.Array = 5.0
    flag_4_neighbors: bool = eqx.field(static=True, default=True)
    max_jump_to_flag_neighbors: float | jax.Array = 1000.0
    min_jump_to_flag_neighbors: float | jax.Array = 10.0
    after_jump_flag_dn1: float | jax.Array = 0.0
    after_jump_flag_time1: float = eqx.field(static=True, default=0.0)
    after_jump_flag_dn2: float | jax.Array = 0.0
    after_jump_flag_time2: float = eqx.field(static=True, default=0.0)
    min_diffs_single_pass: int = eqx.field(static=True, default=10)
    minimum_sigclip_groups: int = eqx.field(static=True, default=100)
    only_use_ints: bool = eqx.field(static=True, default=True)
    expectation: str = eqx.field(static=True, default="exposure")
    decision: str = eqx.field(static=True, default="hard")
    temperature: float | jax.Array = 0.5


class JumpInfo(eqx.Module):
    """Differences flagged before neighbours, of those tested."""

    primary: Array
    tested: Array


def learn_differences(sample: Ramps, refs: JumpRefs, params: JumpParams) -> DifferenceTemplate | SeriesTemplate | None:
    """What each pixel does from group to group, from a sample of the exposure."""
    if params.decision == "soft" and params.expectation != "series":
        raise InputError("jump.decision=soft is for jump.expectation=series")
    if params.expectation == "exposure" or sample.readout.ngroups < FEWEST_GROUPS:
        return None
    gain = jnp.where(refs.gain.data > 0, refs.gain.data, 1)
    noise = _noise(sample, refs, gain)
    if params.expectation == "series":
        rise, valid = differences(sample)
        series = jump_series.learn(rise * gain, valid, noise, sample.integration)
        return SeriesTemplate(series.template / gain, series.excess, series.integration)

    pair = _pairs(sample, gain)
    pairs = sample.readout.ngroups - 1
    template = jump_series.median_differences(pair, pairs, 2 * noise.group) / gain
    count = jax.lax.map(lambda k: planes.count(pair(k)[1]), jnp.arange(pairs))
    return DifferenceTemplate(template, count.astype(template.dtype))


def _noise(state: Ramps, refs: JumpRefs, gain: Float[Array, "y x"]) -> jump_series.Noise:
    frames = state.readout.nframes
    delay = ramp_gls.averaging_delay(frames, state.frame_time_s) / state.group_time_s
    return jump_series.Noise((refs.readnoise.data * gain) ** 2 / (2 * frames), delay.astype(gain.dtype))


def no_cores_yet(state: Ramps, params: JumpParams) -> Bool[Array, "y x"] | None:
    """No snowball has struck before the exposure; nothing is remembered where none is looked for."""
    if not (params.expand_large_events and params.mask_snowball_core_next_int):
        return None
    return jnp.zeros(state.pixeldq.shape, bool)


@step(
    cite="Anderson & Gordon 2011; jwst 3.0.0 jump",
    learned="difference_template",
    learn=learn_differences,
    carry=no_cores_yet,
)
def jump(state: Ramps, refs: JumpRefs, params: JumpParams) -> tuple[Ramps, JumpInfo | None]:
    """Flag JUMP_DET the later group of every difference that stands out.

    Large jumps flag the same group of the four neighbours. Pixels without a gain become NO_GAIN_VALUE | DO_NOT_USE.
    """
    if state.readout.ngroups < FEWEST_GROUPS:
        return state, None
    soft = params.decision == "soft"
    if soft and (params.expand_large_events or params.find_showers):
        raise InputError("jump.decision=soft flags no jumps in which to find large events; switch these off")
    given, refs = (state, refs) if soft else jax.lax.stop_gradient((state, refs))
    difference, valid = differences(given)
    known = refs.gain.data > 0
    gain = jnp.where(known, refs.gain.data, 1)
    difference = difference * gain
    noise = _noise(state, refs, gain)
    noise_variance = 2 * noise.group
    if refs.difference_template is None:
        hit, level = _against_exposure(difference, valid, noise_variance, state, params)
    elif isinstance(refs.difference_template, SeriesTemplate):
        expected = refs.difference_template
        series = jump_series.Series(expected.data * gain, expected.excess, expected.integration)
        found = jump_series.evidence(difference, valid, series, noise, state.integration, params.rejection_threshold)
        hit, level, valid = jump_series.hard(found, params.rejection_threshold), found.level, found.valid
        if soft:
            state = replace(state, keep=jump_series.soft(found, params.rejection_threshold, params.temperature))
    else:
        hit, level, valid = _against_template(given, difference, valid, noise_variance, refs, gain, params)
    own = hit
    info = JumpInfo(planes.number(own), planes.number(valid))
    usable = (state.groupdq[:, 1:] & (flags.DO_NOT_USE | flags.SATURATED)) == 0
    if params.flag_4_neighbors:
        least, most = (
            two_point.exceeds(difference, level, noise_variance, limit**2)
            for limit in (params.min_jump_to_flag_neighbors, params.max_jump_to_flag_neighbors)
        )
        large = hit & valid & least & ~most
        hit = (hit | grow.cross(large)) & usable
    rise = jnp.where(valid, difference - level, 0) / jnp.median(gain)
    for least_dn, time_s in (
        (params.after_jump_flag_dn1, params.after_jump_flag_time1),
        (params.after_jump_flag_dn2, params.after_jump_flag_time2),
    ):
        if time_s > 0:
            hit = hit | (_followed(hit & valid & (rise >= least_dn), time_s // state.group_time_s) & usable)
    hit = hit & ~own if soft else hit
    groupdq = (
        jnp.asarray(state.groupdq)
        .at[:, 1:]
        .set(state.groupdq[:, 1:] | jnp.where(hit, flags.JUMP_DET, 0).astype(jnp.uint8))
    )
    no_gain = jnp.where(known, 0, flags.NO_GAIN_VALUE | flags.DO_NOT_USE).astype(jnp.uint32)
    pixeldq, memory = state.pixeldq | no_gain, state.memory
    if params.expand_large_events:
        before = memory.get(jump.name, no_cores_yet(state, params))
        groupdq, core = snowballs.expanded(groupdq, before, state.group_time_s, params)
        memory = {name: core if name == jump.name else kept for name, kept in memory.items()}
    if params.find_showers:
        groupdq = _with_showers(given.data * gain, groupdq, pixeldq, level, noise_variance, refs, state, params)
    return replace(state, groupdq=groupdq, pixeldq=pixeldq, memory=memory), info


def _with_showers(
    data_e: Float[Array, "integration group y x"],
    groupdq: Array,
    pixeldq: Array,
    level: Float[Array, "... y x"],
    noise_variance: Float[Array, "y x"],
    refs: JumpRefs,
    state: Ramps,
    params: JumpParams,
) -> Array:
    """Group flags with showers, that stand out from the exposure in hand or from the template."""
    template = refs.difference_template
    if template is None:
        expected = showers.expected_of_exposure(data_e, groupdq, noise_variance, params.minimum_sigclip_groups)
        possible = showers.enough(groupdq)
    else:
        level = jnp.where(jnp.isfinite(template.data), level, jnp.nan)
        expected, possible = showers.expected_from(level, noise_variance), True
    widest = 2 * params.max_extended_radius
    found = showers.flagged(data_e, groupdq, pixeldq, expected, state.group_time_s, widest, params)
    return jnp.where(possible, found, groupdq)


def _followed(jumped: Bool[Array, "integration n y x"], groups: Float[Array, ""]) -> Bool[Array, "integration n y x"]:
    """True from each jump on, for so many groups more."""

    def advance(since, now):
        since = jnp.where(now, 0, since + 1)
        return since, since <= groups

    never = jnp.full(jumped[:, 0].shape, jnp.iinfo(jnp.int32).max // 2)
    return jnp.moveaxis(jax.lax.scan(advance, never, jnp.moveaxis(jumped, 1, 0))[1], 0, 1)


def _against_exposure(
    difference: Float[Array, "integration n y x"],
    valid: Bool[Array, "integration n y x"],
    noise_variance: Float[Array, "y x"],
    state: Ramps,
    params: JumpParams,
) -> tuple[Bool[Array, "integration n y x"], Float[Array, "y x"]]:
    """Hits, and the median difference of each pixel that needs it, over all integrations in hand."""

    def two_points():
        return _two_point(difference, valid, noise_variance, state, params)

    def clip():
        return _sigma_clipped(difference, valid, state, params)

    if params.only_use_ints:
        hit = (clip if len(difference) >= params.minimum_sigclip_groups else two_points)()
    else:
        groups = (~_without_pixels(state)).sum()
        hit = jax.lax.cond(groups >= params.minimum_sigclip_groups, clip, two_points)
    wanted = planes.anywhere(hit.reshape(-1, *hit.shape[2:]))
    if params.after_jump_flag_time1 > 0 or params.after_jump_flag_time2 > 0:
        wanted = grow.cross(wanted)  # groups after a jump are flagged in the neighbours too
    return hit, two_point.levels(difference, valid, wanted)


def _without_pixels(state: Ramps) -> Bool[Array, "integration group"]:
    """Groups that no pixel has, as whole integrations lack them."""
    return ((state.groupdq & flags.DO_NOT_USE) != 0).all((2, 3))


def _two_point(
    difference: Float[Array, "integration n y x"],
    valid: Bool[Array, "integration n y x"],
    noise_variance: Float[Array, "y x"],
    state: Ramps,
    params: JumpParams,
) -> Bool[Array, "integration n y x"]:
    n = difference.shape[1]
    limits = two_point.Thresholds(
        params.rejection_threshold, params.four_group_rejection_threshold, params.three_group_rejection_threshold
    )

    def at_once():
        return two_point.at_once(difference, valid, noise_variance, params.rejection_threshold)

    def one_by_one():
        return two_point.iterative(difference, valid, noise_variance, limits)

    # groups that whole integrations lack do not count; padding is no integration
    dead = _without_pixels(state)
    lacking = jnp.where(dead.all(1), 0, dead.sum(1)).max()
    usable = n + 1 - lacking
    if n < params.min_diffs_single_pass:
        hit = one_by_one()
    else:
        hit = jax.lax.cond(usable - 1 >= params.min_diffs_single_pass, at_once, one_by_one)
    return hit & (usable >= FEWEST_GROUPS)


def _sigma_clipped(
    difference: Float[Array, "integration n y x"],
    valid: Bool[Array, "integration n y x"],
    state: Ramps,
    params: JumpParams,
) -> Bool[Array, "integration n y x"]:
    """Outliers of each difference across the integrations, but none where a whole group would be lost to them."""
    if params.only_use_ints:
        hit = clipped.outliers(difference, valid, params.rejection_threshold, CLIP_ROUNDS)
    else:
        values, admitted = (x.reshape(-1, *x.shape[2:]) for x in (difference, valid))
        hit = clipped.outliers(values, admitted, params.rejection_threshold, CLIP_ROUNDS).reshape(valid.shape)
    lost = hit | ((state.groupdq[:, 1:] & (flags.JUMP_DET | flags.DO_NOT_USE)) != 0)
    return hit & ~(lost.all((2, 3), keepdims=True) & (state.groupdq[:, 1:] == 0))


def _against_template(
    state: Ramps,
    difference: Float[Array, "integration n y x"],
    valid: Bool[Array, "integration n y x"],
    noise_variance: Float[Array, "y x"],
    refs: JumpRefs,
    gain: Float[Array, "y x"],
    params: JumpParams,
) -> tuple[Bool[Array, "integration n y x"], Float[Array, "integration n y x"], Bool[Array, "integration n y x"]]:
    """Hits, expected differences, and where there is an expectation."""
    expected = refs.difference_template
    assert isinstance(expected, DifferenceTemplate)
    exists = jnp.isfinite(expected.data)
    template, valid = jnp.where(exists, expected.data, 0) * gain, valid & exists
    scale = jump_series.brightness_of(_pairs(state, gain), template, noise_variance)
    level = scale[:, None] * template
    # the median of n integrations is itself uncertain, by sqrt(pi / 2 n) of their scatter
    limit_squared = params.rejection_threshold**2 * (1 + MEDIAN_VARIANCE / jnp.maximum(expected.count, 1))
    return valid & two_point.exceeds(difference, level, noise_variance, limit_squared), level, valid


def _pairs(state: Ramps, gain: Float[Array, "y x"]) -> jump_series.Pair:
    """How to get the difference of two groups in electrons, which is never held for all of them."""

    def pair(k: Int[Array, ""] | int) -> tuple[Float[Array, "integration y x"], Bool[Array, "integration y x"]]:
        rise, valid = difference_at(state.data, state.groupdq, k + 1)
        return jnp.where(valid, rise, 0) * gain, valid

    return pair
