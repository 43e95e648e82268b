"""From ramps to rates."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import order, planes, ramp_gls, ramp_likelihood, ramp_ols, ramp_run
from uptheramp.calibrate.references.dark import Dark
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.stage1.differences import difference_at, usable_differences
from uptheramp.calibrate.stage1.learned import RateTemplate
from uptheramp.calibrate.state import Ramps, Rates, one_by_one, take
from uptheramp.calibrate.step import step

LARGE_VARIANCE = 1e6  # (DN/s)^2: the official pipeline reports variances above as 0
FEWEST_GROUPS = {"LIKELY": 4, "GLS": 2}
SAVED_BY_A_JUMP = 20.25, 23.8  # chi-square, of one difference (4.5 standard deviations) and of two (as improbable)
LEAST_READ_VARIANCE = 1e-12  # DN^2: keeps weights defined without read noise


class RampFitRefs(eqx.Module):
    """What ramp_fit takes from the library; the template is learned on a sample of the exposure."""

    gain: Gain
    readnoise: ReadNoise
    dark: Dark | None
    rate_template: RateTemplate | None


class RampFitParams(eqx.Module):
    """How to fit.

    `algorithm`: "OLS_C", the official segments and weights; "LIKELY", the official likelihood fit with its own search
    for jumps (OLS_C below four groups); "GLS", the same covariance with the pixel's typical rate in it, no search.
    `gradient`: "exact" differentiates the weights of LIKELY and GLS, with LIKELY also the rate that its search makes
    them from; "frozen" holds them. `suppress_one_group`: ramps with one good group get no rate. `firstgroup`,
    `lastgroup`: the groups to use, counted from 0.
    """

    algorithm: str = eqx.field(static=True, default="OLS_C")
    suppress_one_group: bool = eqx.field(static=True, default=True)
    firstgroup: int | None = eqx.field(static=True, default=None)
    lastgroup: int | None = eqx.field(static=True, default=None)
    gradient: str = eqx.field(static=True, default="exact")


class RampFitInfo(eqx.Module):
    """What the likelihood fit says of each ramp."""

    chi_square: Float[Array, "integration y x"]


def learn_rates(sample: Ramps, refs: RampFitRefs, params: RampFitParams) -> RateTemplate | None:
    """Typical rate of each pixel, DN/s.

    For GLS the median over integrations of the mean usable difference, for OLS_C the mean over integrations of the
    median difference, which is the official rate for the Poisson variance. LIKELY needs none.
    """
    algorithm = algorithm_for(sample, params)
    if algorithm == "LIKELY":
        return None
    if algorithm == "OLS_C":
        return RateTemplate(_rate_of_all(sample, params))
    held = jax.tree.map(jnp.asarray, sample)

    def mean_difference(number: Int[Array, ""]) -> tuple[Float[Array, "y x"], Bool[Array, "y x"]]:
        difference, usable = usable_differences(take(held, number[None]))
        count = usable[0].sum(0)
        return difference[0].sum(0) / jnp.maximum(count, 1), count > 0

    mean, known = jax.lax.map(mean_difference, jnp.arange(len(sample.data)))
    return RateTemplate(order.median(mean, known) / sample.group_time_s.astype(mean.dtype))


def algorithm_for(state: Ramps, params: RampFitParams) -> str:
    """The algorithm asked for, or OLS_C where the ramp is too short for it."""
    return "OLS_C" if state.readout.ngroups < FEWEST_GROUPS.get(params.algorithm, 1) else params.algorithm


@step(cite="Brandt 2024; Fixsen et al. 2000; jwst 3.0.0 ramp_fit", learned="rate_template", learn=learn_rates)
def ramp_fit(state: Ramps, refs: RampFitRefs, params: RampFitParams) -> tuple[Rates, RampFitInfo | None]:
    """Fit the slope (DN/s) of every pixel and integration, with its variances by cause.

    Groups that are NaN are not used. Pixels without a usable difference are NaN and DO_NOT_USE, variances 0.
    """
    if state.keep is not None and algorithm_for(state, params) != "GLS":
        raise InputError(
            f"ramp_fit.algorithm {params.algorithm} knows no jumps in part; choose GLS, or jump.decision=hard"
        )
    if algorithm_for(state, params) == "OLS_C" and refs.rate_template is None:
        refs = replace(refs, rate_template=RateTemplate(_rate_of_all(_tidy(state, params), params)))

    def fit(some: Ramps) -> tuple[Rates, RampFitInfo | None]:
        return _fit(_tidy(some, params), refs, params)

    # of many groups what is made of an integration on the way stays in the cache, as what is made of all would not
    short = algorithm_for(state, params) == "GLS" and planes.few(state.readout.ngroups - 1)
    return fit(state) if short else one_by_one(fit, state)


def _tidy(state: Ramps, params: RampFitParams) -> Ramps:
    """Ramps without NaN (which GLS leaves out by itself), with what is not to be used flagged."""
    if algorithm_for(state, params) == "GLS":
        return replace(state, groupdq=_in_range(state.groupdq, params))
    finite = jnp.isfinite(state.data)
    groupdq = state.groupdq | jnp.where(finite, 0, flags.DO_NOT_USE).astype(state.groupdq.dtype)
    tidy = jnp.where(finite, state.data, 0), _chosen(groupdq, params)
    return eqx.tree_at(lambda s: (s.data, s.groupdq), state, tidy)


def _fit(state: Ramps, refs: RampFitRefs, params: RampFitParams) -> tuple[Rates, RampFitInfo | None]:
    known = refs.gain.data > 0
    gain = jnp.where(known, refs.gain.data, 1)
    pixeldq = state.pixeldq | jnp.where(known, 0, flags.NO_GAIN_VALUE | flags.DO_NOT_USE).astype(jnp.uint32)
    info = None
    match algorithm_for(state, params):
        case "OLS_C":
            slope, var_poisson, var_rnoise, fitted = _ols(state, refs, params, gain)
        case "LIKELY":
            (slope, var_poisson, var_rnoise, fitted), jumped, chi_square = _likely(state, refs, params, gain)
            pixeldq = pixeldq | jnp.where(jumped, flags.JUMP_DET, 0).astype(jnp.uint32)
            info = RampFitInfo(chi_square)
        case _:
            slope, var_poisson, var_rnoise, fitted = _gls(state, refs, params, gain)
    dq = _combined_flags(state.groupdq, pixeldq, fitted)
    good = (dq & flags.DO_NOT_USE) == 0
    zero = jnp.zeros_like(slope)
    rates = Rates(
        data=jnp.where(good, slope, jnp.nan),
        var_poisson=jnp.where(good & (var_poisson < LARGE_VARIANCE), var_poisson, zero),
        var_rnoise=jnp.where(good & (var_rnoise < LARGE_VARIANCE), var_rnoise, zero),
        var_flat=zero,
        dq=dq,
        integration=state.integration,
    )
    return rates, info


def _dark_e_per_s(state: Ramps, refs: RampFitRefs) -> Float[Array, "#y #x"]:
    """Mean dark current of each pixel: what the user gives, else that of the reference, else none."""
    if state.dark_e_per_s is not None:
        return jnp.reshape(state.dark_e_per_s, (1, 1))
    return jnp.zeros((1, 1), state.data.dtype) if refs.dark is None else refs.dark.current


def _gls(state: Ramps, refs: RampFitRefs, params: RampFitParams, gain: Float[Array, "y x"]):
    dtype = state.data.dtype
    spacing, frame = state.group_time_s.astype(dtype), state.frame_time_s.astype(dtype)
    delay = ramp_gls.averaging_delay(state.readout.nframes, frame)
    read = jnp.maximum(refs.readnoise.data**2 / (2 * state.readout.nframes), LEAST_READ_VARIANCE)
    dark = _dark_e_per_s(state, refs) / gain**2
    number = state.readout.ngroups - 1

    def pair(k: int | Int[Array, ""]) -> tuple[Float[Array, "integration y x"], Bool[Array, "integration y x"]]:
        step, usable = difference_at(state.data, state.groupdq, k + 1)
        return jnp.where(usable, step, 0), usable

    difference, usable = planes.each(pair, number)
    soft = state.keep
    keep = None if soft is None else planes.each(lambda k: (usable[k] * soft[:, k],), number)[0]

    def solve(rate: Float[Array, "... y x"]):
        poisson = jnp.maximum(rate, 0) / gain + dark  # variance per second, DN^2/s
        if keep is None:
            weight = ramp_gls.weights(usable, poisson, read, spacing, delay)
        else:
            weight = ramp_gls.soft_weights(keep, poisson, read, spacing, delay)
        weight = jax.lax.stop_gradient(weight) if params.gradient == "frozen" else weight
        return ramp_gls.estimate(ramp_gls.sums(weight, difference), poisson, read, spacing, delay)

    template = refs.rate_template
    if template is None:  # two passes on the integration's own rate
        total, count = (planes.fold(jnp.add, jnp.zeros_like(x[0], dtype), x) for x in (difference, usable))
        rate, *_ = solve(jax.lax.stop_gradient(total / (jnp.maximum(count, 1) * spacing)))
    else:
        rate = jnp.where(jnp.isfinite(template.data), template.data, 0)
    return *solve(jax.lax.stop_gradient(rate)), planes.fold(jnp.logical_or, jnp.zeros_like(usable[0]), usable)


def _ols(state: Ramps, refs: RampFitRefs, params: RampFitParams, gain: Float[Array, "y x"]):
    dtype = state.data.dtype
    spacing = state.group_time_s.astype(dtype)
    assert refs.rate_template is not None
    state, lone_time = _with_lone_groups(state, params)
    single_read_e = refs.readnoise.data * gain / jnp.sqrt(jnp.asarray(2.0 * state.readout.nframes, dtype))

    lone_scale = jnp.broadcast_to(spacing / lone_time.astype(dtype), state.data[:, 0].shape)

    def fit_one(each: tuple[Array, Array, Array]) -> ramp_ols.Fit:
        groupdq = each[1]
        run = ramp_run.shared(groupdq == 0)

        def by_segments(data: Array, groupdq: Array, scale: Array, gain: Array, noise: Array) -> ramp_ols.Fit:
            return ramp_ols.fit(data, groupdq == 0, groupdq == flags.JUMP_DET, gain, noise, scale)

        def of_run(data: Array, _dq: Array, _scale: Array, gain: Array, noise: Array) -> ramp_ols.Fit:
            return ramp_run.fit(run, data, gain, noise)

        flagged = ramp_run.departs(run, groupdq == 0, groupdq == flags.JUMP_DET)
        return planes.where_few(by_segments, of_run, flagged, *each, gain, single_read_e)

    def fit_with(groupdq: Array) -> ramp_ols.Fit:
        return jax.lax.map(fit_one, (state.data, groupdq & ~jnp.uint8(flags.PERSISTENCE), lone_scale))

    fit = fit_with(state.groupdq)
    loses = (_flags_of_ramps(state.groupdq) & flags.CHARGELOSS) != 0

    def as_if_kept() -> Float[Array, "integration y x"]:
        lost = (state.groupdq & flags.CHARGELOSS) != 0
        kept = jnp.where(lost, state.groupdq ^ jnp.uint8(flags.CHARGELOSS | flags.DO_NOT_USE), state.groupdq)
        return jnp.where(loses, fit_with(kept).read_information, fit.read_information)

    # groups lost to charge migration say nothing on the slope, but its read noise is reported as if they did
    read_information = jax.lax.cond(loses.any(), as_if_kept, lambda: fit.read_information)
    rate = refs.rate_template.data
    dark = _dark_e_per_s(state, refs)
    level = jnp.maximum(jnp.where(jnp.isfinite(rate), rate, 0), 0) + dark
    at_start = (state.groupdq[:, 0] & flags.SATURATED) != 0
    var_poisson = level / (spacing * gain * fit.poisson_information)
    var_rnoise = (single_read_e / (spacing * gain)) ** 2 / read_information
    return fit.slope / spacing, var_poisson, var_rnoise, fit.usable & ~at_start


def _with_lone_groups(state: Ramps, params: RampFitParams) -> tuple[Ramps, Float[Array, "*image"]]:
    """As `_lone_groups` where lone groups count, else the state and a group time."""
    if params.suppress_one_group and state.readout.ngroups > 1:
        return state, state.group_time_s
    return _lone_groups(state)


def _rate_of_all(state: Ramps, params: RampFitParams) -> Float[Array, "y x"]:
    """The official rate for the Poisson variance."""
    return _official_rate(*_with_lone_groups(state, params))


def _lone_groups(state: Ramps) -> tuple[Ramps, Float[Array, "integration y x"]]:
    """The state with the ZEROFRAME in place of ramps without a good group, and the time from the reset to a lone group.

    A first group is `(nframes + 1) / 2` frames from the reset, a first frame one; others count as one group time.
    """
    good = state.groupdq == 0
    count = good.sum(1)
    first = 0.5 * (state.readout.nframes + 1) * state.frame_time_s
    time = jnp.where((count == 1) & good[:, 0], first, state.group_time_s)
    if state.zeroframe is None:
        return state, time
    instead = (count == 0) & (state.zeroframe != 0)
    data = jnp.asarray(state.data).at[:, 0].set(jnp.where(instead, state.zeroframe, state.data[:, 0]))
    groupdq = jnp.asarray(state.groupdq).at[:, 0].set(jnp.where(instead, 0, state.groupdq[:, 0]))
    new = eqx.tree_at(lambda s: (s.data, s.groupdq), state, (data, groupdq))
    return new, jnp.where(instead, state.frame_time_s, time)


def _official_rate(state: Ramps, lone_time_s: Float[Array, "#integration #y #x"]) -> Float[Array, "y x"]:
    """Mean over integrations of the median difference (the first group over its time where there is none), DN/s."""
    dnu = (state.groupdq & flags.DO_NOT_USE) != 0
    lost = dnu | ((state.groupdq & flags.SATURATED) != 0)
    rate = jnp.where(lost[:, 0], 0, state.data[:, 0]) / lone_time_s
    if state.readout.ngroups > 1:
        difference, usable = usable_differences(state)
        middle = order.median(jnp.moveaxis(difference, 1, 0), jnp.moveaxis(usable, 1, 0))
        rate = jnp.where(usable.any(1), middle / state.group_time_s, rate)
    real = ~dnu.all((1, 2, 3))  # padding is no integration
    count = jnp.maximum(real.sum(), 1)
    return (jnp.where(real[:, None, None], rate, 0).sum(0) / count).astype(state.data.dtype)


def _likely(state: Ramps, refs: RampFitRefs, params: RampFitParams, gain: Float[Array, "y x"]):
    """The likelihood fit: what `_ols` returns, whether jumps were found, chi-square.

    The covariance of the search is that of the median difference of the ramp (of all groups, as the official code has
    it), that of the fit has the slope that the search leaves.
    """
    data, groupdq, groups = _resultants(state)
    moments = ramp_likelihood.reads(groups)
    units = ramp_likelihood.shapes(moments, state.frame_time_s)
    bad = groupdq != 0
    usable = ~(bad[1:] | bad[:-1])
    spacing = (moments.spacing * state.frame_time_s).astype(data.dtype)[:, None, None, None]
    difference = jnp.diff(data, axis=0) / spacing
    read = jnp.maximum(refs.readnoise.data**2 / 2, LEAST_READ_VARIANCE)
    dark = _dark_e_per_s(state, refs)

    def covariance(rate: Float[Array, "integration y x"]) -> ramp_likelihood.Covariance:
        return ramp_likelihood.covariance(units, jnp.maximum(rate, 0) / gain, read)

    typical = covariance(order.median(difference, jnp.ones_like(usable)))
    averaged = bool((moments.number[1:-1] > 1).any())
    kept, rate = ramp_likelihood.search(difference, usable, typical, averaged, *SAVED_BY_A_JUMP)
    rate = jax.lax.stop_gradient(rate) if params.gradient == "frozen" else rate
    rate = jnp.maximum(rate, 0) + dark
    result = ramp_likelihood.fit(difference, kept, covariance(rate))
    weights = jax.lax.stop_gradient(result.weights) if params.gradient == "frozen" else result.weights
    slope = (weights * jnp.where(kept, difference, 0)).sum(0)
    poisson, noise = (ramp_likelihood.quadratic(weights, unit) for unit in units)
    return (slope, poisson * rate / gain, noise * read, kept.any(0)), (usable & ~kept).any(0), result.chi_square


def _resultants(state: Ramps) -> tuple[Float[Array, "group integration y x"], Array, list[np.ndarray]]:
    """Groups (first axis), their flags and read times in frames; a ZEROFRAME is taken out of the first group.

    Where it is not usable the first group is not either, since it is not known what to take out.
    """
    r = state.readout
    data, groupdq = (jnp.moveaxis(x, 1, 0) for x in (state.data, state.groupdq))
    groups = [1.0 + np.arange(r.nframes) + number * r.frames_per_group for number in range(r.ngroups)]
    if state.zeroframe is None or r.nframes < 2:
        return data, groupdq, groups
    rest = (data[0] * r.nframes - state.zeroframe) / (r.nframes - 1)
    lost = groupdq[0] | jnp.where(state.zeroframe == 0, flags.DO_NOT_USE, 0).astype(groupdq.dtype)
    return (
        jnp.concatenate([state.zeroframe[None], rest[None], data[1:]]),
        jnp.concatenate([lost[None], lost[None], groupdq[1:]]),
        [groups[0][:1], groups[0][1:], *groups[1:]],
    )


def _in_range(groupdq: Array, params: RampFitParams) -> Array:
    """Flags with DO_NOT_USE outside `firstgroup` ... `lastgroup`."""
    ngroups = groupdq.shape[1]
    first = max(params.firstgroup or 0, 0)
    last = ngroups - 1 if params.lastgroup is None else params.lastgroup
    if first >= last or (first, last) == (0, ngroups - 1):
        return groupdq
    number = jnp.arange(ngroups)[:, None, None]
    return groupdq | jnp.where((number < first) | (number > last), flags.DO_NOT_USE, 0).astype(groupdq.dtype)


def _chosen(groupdq: Array, params: RampFitParams) -> Array:
    """Flags with DO_NOT_USE also in ramps with exactly one good group."""
    groupdq = _in_range(groupdq, params)
    # LIKELY fits no lone groups
    if not params.suppress_one_group or groupdq.shape[1] == 1 or params.algorithm == "LIKELY":
        return groupdq
    alone = planes.count(jnp.moveaxis((groupdq & ~jnp.uint8(flags.PERSISTENCE)) == 0, 1, 0)) == 1
    return groupdq | jnp.where(alone[:, None], flags.DO_NOT_USE, 0).astype(groupdq.dtype)


def _flags_of_ramps(groupdq: UInt8[Array, "integration group y x"]) -> UInt8[Array, "integration y x"]:
    """All flags that any group of the ramp has."""
    return planes.fold(jnp.bitwise_or, jnp.zeros_like(groupdq[:, 0]), jnp.moveaxis(groupdq, 1, 0))


def _combined_flags(groupdq: Array, pixeldq: Array, fitted: Bool[Array, "integration y x"]) -> Array:
    """Pixel flags with what happened in the groups: any jump, any saturation, nothing to fit."""
    happened = _flags_of_ramps(groupdq)

    def any_of(bit: int) -> Array:
        return (happened & bit).astype(jnp.uint32)

    dq = pixeldq | any_of(flags.JUMP_DET) | any_of(flags.PERSISTENCE) | any_of(flags.SATURATED)
    return dq | jnp.where(fitted, 0, flags.DO_NOT_USE).astype(jnp.uint32)
