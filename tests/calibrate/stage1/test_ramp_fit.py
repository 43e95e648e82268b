"""Slopes against algebra that shares nothing with the step: dense covariances, official rules by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.gradient import value_and_grad
from uptheramp.calibrate.kernels import order, planes, ramp_gls, ramp_ols, ramp_run
from uptheramp.calibrate.stage1.learned import RateTemplate
from uptheramp.calibrate.stage1.ramp_fit import RampFitParams, RampFitRefs, ramp_fit


def frame_covariance(ngroups, nframes, gap, frame_s, poisson_per_s, read_variance_frame):
    """Covariance of group means from that of every single frame: min(t, t') and white noise."""
    per = nframes + gap
    times = frame_s * (np.arange(ngroups * per) + 1)
    frames = poisson_per_s * np.minimum.outer(times, times) + read_variance_frame * np.eye(len(times))
    average = np.zeros((ngroups, len(times)))
    for g in range(ngroups):
        average[g, g * per : g * per + nframes] = 1 / nframes
    return average @ frames @ average.T


@pytest.mark.parametrize(("nframes", "gap"), [(1, 0), (1, 3), (4, 1), (8, 0), (8, 12)])
@pytest.mark.parametrize("rate", [1e-3, 1.0, 300.0, 1e5])
@pytest.mark.parametrize("lost", [(), (2,), (0, 3, 4)])
@pytest.mark.parametrize("ngroups", [8, 20], ids="{} groups".format)  # written out, and in a loop
def test_gls_weights_and_variances_equal_the_dense_solution(nframes, gap, rate, lost, ngroups):
    frame_s, read_frame = 0.7, 60.0
    spacing = frame_s * (nframes + gap)
    cov = frame_covariance(ngroups, nframes, gap, frame_s, rate, read_frame)
    d = np.diff(np.eye(ngroups), axis=0)
    usable = np.ones(ngroups - 1, bool)
    usable[list(lost)] = False
    chosen = (d @ cov @ d.T)[np.ix_(usable, usable)]
    solved = np.linalg.solve(chosen, np.ones(usable.sum()))
    delay = ramp_gls.averaging_delay(nframes, jnp.asarray(frame_s))
    args = jnp.asarray(rate), jnp.asarray(read_frame / nframes), jnp.asarray(spacing), delay
    w = np.asarray(ramp_gls.weights(jnp.asarray(usable), *args))
    assert (w[~usable] == 0).all()
    # below the floor of the Poisson share the weights stay those of the floor
    np.testing.assert_allclose(w[usable] / w.sum(), solved / solved.sum(), rtol=1e-4 if rate < 1 else 1e-9)
    best = solved / solved.sum()
    full = np.zeros(ngroups - 1)
    full[usable] = best
    sums = ramp_gls.sums(jnp.asarray(full), jnp.asarray(full))
    _, poisson, read = ramp_gls.estimate(sums, *args)
    np.testing.assert_allclose(float(poisson + read), best @ chosen @ best / spacing**2, rtol=1e-9)


fit_compiled = eqx.filter_jit(lambda state, refs, params: ramp_fit(state, refs, params))


def state_and_refs(exposure, **options):
    case = exposure(correction="none", **options)
    state = eqx.tree_at(lambda s: s.data, case.ramps, case.ramps.data.astype(np.float32))
    return state, RampFitRefs(case.library["gain"], case.library["readnoise"], None, None)


@pytest.mark.parametrize("algorithm", ["OLS_C", "GLS"])
def test_a_straight_ramp_gives_its_slope_with_every_flag(exposure, algorithm):
    state, refs = state_and_refs(exposure, ngroups=8)
    group = np.arange(8, dtype=np.float32)[:, None, None]
    data = np.broadcast_to(50 + 20 * group, state.data.shape).copy()
    dq = np.zeros(data.shape, np.uint8)
    data[:, 4:, 0, 0] += 999
    dq[:, 4, 0, 0] = flags.JUMP_DET
    dq[:, 5:, 0, 1] = flags.SATURATED
    dq[:, 2, 0, 2] = flags.DO_NOT_USE
    dq[:, 0, 0, 3], dq[:, 1:, 0, 3] = 0, flags.SATURATED  # one good group
    dq[:, :, 0, 4] = flags.SATURATED
    dq[:, :, 0, 5] = flags.DO_NOT_USE
    state = eqx.tree_at(lambda s: (s.data, s.groupdq), state, (data, dq))
    rates, _ = fit_compiled(state, refs, RampFitParams(algorithm=algorithm))
    slope, out = np.array(rates.data), np.asarray(rates.dq)
    assert np.isnan(slope[:, 0, 3:6]).all()
    assert (out[:, 0, 3:6] & flags.DO_NOT_USE).all()
    slope[:, 0, 3:6] = 40
    np.testing.assert_allclose(slope, 20 / 0.5, rtol=1e-5)
    assert (out[:, 0, 0] == flags.JUMP_DET).all()
    assert (out[:, 0, 1] == flags.SATURATED).all()
    assert (out[:, 0, 2] == 0).all()


@pytest.mark.parametrize("nframes", [1, 4])
def test_weights_from_a_template_leave_no_bias_and_tell_the_error(exposure, nframes):
    options = {"nints": 60, "ngroups": 6, "nframes": nframes, "rate_dn": 60.0, "seed": 5}
    state, refs = state_and_refs(exposure, **options)
    truth = exposure(correction="none", **options).rate_dn_s
    refs = eqx.tree_at(lambda r: r.rate_template, refs, RateTemplate(truth), is_leaf=lambda x: x is None)
    fitted, _ = fit_compiled(state, refs, RampFitParams(algorithm="GLS"))
    pull = np.asarray((fitted.data - truth) / fitted.err)[2:, :6]  # the hits are in the first two, and below
    assert abs(pull.mean()) < 4 / pull.size**0.5
    assert abs(pull.std() - 1) < 4 / (2 * pull.size) ** 0.5 + 0.01  # rounding to DN adds 1/12 to 64


@pytest.mark.parametrize("mode", ["exact", "frozen"])
def test_gradient_equals_finite_differences_of_the_same_function(exposure, mode):
    state, refs = state_and_refs(exposure, nints=2)
    with jax.enable_x64(True):
        state = eqx.tree_at(lambda s: s.data, state, state.data.astype(np.float64))
        refs = jax.tree.map(lambda x: np.asarray(x, np.float64), refs)
        template = RateTemplate(np.full(state.data.shape[2:], 80.0))
        refs = eqx.tree_at(lambda r: r.rate_template, refs, template, is_leaf=lambda x: x is None)
        params = RampFitParams(algorithm="GLS", gradient=mode)

        @jax.jit
        def total(gain):
            rates, _ = ramp_fit(state, eqx.tree_at(lambda r: r.gain.data, refs, gain), params)
            return jnp.where(jnp.isfinite(rates.data), rates.data, 0).sum()

        gain = refs.gain.data
        _, gradient = value_and_grad(total)(gain)
        direction = np.zeros_like(gain)
        direction[3:9, 5:20] = 1
        step = 1e-5
        difference = (total(gain + step * direction) - total(gain - step * direction)) / (2 * step)
        along = float((np.asarray(gradient) * direction).sum())
        if mode == "frozen":
            assert along == 0  # the slope depends on the gain through its weights alone
            assert abs(difference) > 1e-6
        else:
            np.testing.assert_allclose(along, difference, rtol=1e-6)


def test_official_segments_against_a_plain_loop():
    rng = np.random.default_rng(3)
    n, pixels = 12, 300
    data = rng.normal(100, 30, (n, pixels)).cumsum(0)
    good = rng.random((n, pixels)) > 0.25
    jump = ~good & (rng.random((n, pixels)) < 0.5)
    gain, noise = 1.7, 15.0
    fit = ramp_ols.fit(*map(jnp.asarray, (data, good, jump)), jnp.full(pixels, gain), jnp.full(pixels, noise), 1.0)
    for p in range(pixels):
        pieces, g = [], 0
        while g < n:
            if good[g, p]:
                end = g
                while end < n and good[end, p]:
                    end += 1
                pieces.append((g - 1 if g and jump[g - 1, p] else g, end))
                g = end
            g += 1
        long = [s for s in pieces if s[1] - s[0] > 1]
        assert bool(fit.usable[p]) == bool(pieces)
        if not long:
            if pieces:
                np.testing.assert_allclose(fit.slope[p], data[pieces[0][0], p])
            continue
        top = bottom = 0.0
        for a, b in long:
            x, y = np.arange(a, b), data[a:b, p]
            signal = (y[-1] - y[0]) * gain
            total = noise**2 + signal
            snr = signal / np.sqrt(total) if total > 0 else 0
            w = np.abs((x - x.mean()) / ((b - a - 1) / 2)) ** float(
                np.select([snr < limit for limit in (5, 10, 20, 50, 100)], (0, 0.4, 1, 3, 6), 10)
            )
            slope = np.polyfit(x, y, 1, w=np.sqrt(w))[0]
            information = (b - a) ** 3 - (b - a)
            top, bottom = top + slope * information, bottom + information
        np.testing.assert_allclose(fit.slope[p], top / bottom, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(fit.read_information[p], bottom / 12)


@pytest.mark.parametrize(("first", "stop", "share"), [(0, 7, 0.03), (1, 6, 0.03), (0, 7, 0.5), (3, 4, 0.0)])
def test_ramps_of_a_common_run_and_the_few_others(first, stop, share):
    rng = np.random.default_rng(5)
    n, shape = 7, (8, 40)
    data = jnp.asarray(rng.normal(rng.choice([2, 30, 900], shape), 10, (n, *shape)).cumsum(0))
    good = np.zeros(data.shape, bool)
    good[first:stop] = True
    good &= rng.random(data.shape) > share / 3
    good[:, 0, :3] = False
    jump = ~good & (rng.random(data.shape) < 0.5) & (rng.random(shape) < share)
    gain, noise = jnp.asarray(rng.uniform(1, 2, (2, *shape)))

    def segments(data, good, jump, gain, noise):
        return ramp_ols.fit(data, good, jump, gain, noise, jnp.asarray(1.0))

    def both_ways(data):
        run = ramp_run.shared(good)
        chosen = ramp_run.departs(run, good, jump)
        return planes.where_few(
            segments, lambda d, _good, _jump, *rest: ramp_run.fit(run, d, *rest), chosen, data, good, jump, gain, noise
        )

    found, expected = jax.jit(both_ways)(data), segments(data, good, jump, gain, noise)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    slopes = [
        jax.grad(lambda d, f=f: f(d).slope.sum())(data)
        for f in (both_ways, lambda d: segments(d, good, jump, gain, noise))
    ]
    np.testing.assert_allclose(*slopes, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 12, 13, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_median_of_valid_samples(n, dtype):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 500)).astype(dtype)
    x[:, :50] = np.round(x[:, :50])  # ties
    valid = rng.random(x.shape) > 0.3
    got = np.asarray(order.median(jnp.asarray(x), jnp.asarray(valid)))
    some = valid.any(0)
    np.testing.assert_array_equal(np.isnan(got), ~some)
    np.testing.assert_allclose(got[some], np.nanmedian(np.where(valid, x, np.nan)[:, some], axis=0), rtol=1e-6)
