"""The drift of the lines from side reference pixels: as good as the covariances allow, and never a loss.

The process is made here by its own means: pink noise with a spectrum 1/f from a circulant, whose covariance is the
Fourier transform of that spectrum.
"""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import line_levels
from uptheramp.calibrate.stage1 import side_kriging
from uptheramp.calibrate.stage1.refpix import RefpixParams, RefpixRefs, refpix
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.stream import learned

LINES, OUTPUTS, WIDTH, SIDE, PERIOD = 48, 4, 8, 4, 2048
SHARED, OWN, NOISE_DN = 1.0, 0.3, 4.0  # amplitude per e-fold of frequency; noise of one reference pixel
SIDES = [slice(0, SIDE), slice(OUTPUTS * WIDTH - SIDE, OUTPUTS * WIDTH)]
WINDOW = side_kriging.Window(LINES, SIDES, [slice(0, 4)], OUTPUTS)
SEEN = [0, OUTPUTS - 1]
REFERENCE = np.r_[np.full(4, 0.25), np.zeros(LINES - 4)]


def pink_spectrum():
    f = np.fft.fftfreq(PERIOD)
    return np.where(f == 0, 0, 1 / (2 * np.abs(np.where(f == 0, 1, f)) * PERIOD))


def covariance():
    """Of lines that follow each other, for unit amplitude."""
    c = np.fft.fft(pink_spectrum()).real
    return c[np.abs(np.subtract.outer(np.arange(LINES), np.arange(LINES)))]


def pink(rng, frames):
    """LINES lines of pink noise in each frame."""
    white = np.fft.fft(rng.standard_normal((frames, PERIOD)))
    return np.fft.ifft(white * np.sqrt(PERIOD * pink_spectrum())).real[:, :LINES]


def draw(rng, frames, shared=SHARED, own=OWN, noise=NOISE_DN):
    """Drift (frame, line, output) with the ends subtracted, and frames (frame, line, column) with pixel noise."""
    drift = shared * pink(rng, frames)[..., None]
    drift = drift + own * np.stack([pink(rng, frames) for _ in range(OUTPUTS)], -1)
    drift = drift - np.einsum("r,fro->fo", REFERENCE, drift)[:, None]
    return drift, np.repeat(drift, WIDTH, -1) + noise * rng.standard_normal((frames, LINES, OUTPUTS * WIDTH))


def true_weights(shared=SHARED, own=OWN, noise=NOISE_DN):
    k, n = covariance(), jnp.full(LINES, noise**2 / SIDE)
    return side_kriging.weights(jnp.asarray(shared**2 * k), jnp.asarray(own**2 * k), [n, n], REFERENCE, SEEN, OUTPUTS)


def expected_error(line, shared=SHARED, own=OWN, noise=NOISE_DN):
    """Mean square error (DN^2) that weights leave over all lines, by output, from the true covariances."""
    left = np.eye(LINES) - REFERENCE
    k = left @ covariance() @ left.T
    line = np.asarray(line, float)
    out = []
    for o, w in enumerate(line):
        parts = w[:, :LINES], w[:, LINES:]
        miss = shared**2 * (np.eye(LINES) - parts[0] - parts[1]) @ k @ (np.eye(LINES) - parts[0] - parts[1]).T
        for p in range(OUTPUTS):
            m = np.eye(LINES) * (p == o) - sum(x * (p == s) for x, s in zip(parts, SEEN, strict=True))
            miss = miss + own**2 * m @ k @ m.T
        out.append(np.trace(miss + noise**2 / SIDE * w @ w.T) / LINES)
    return np.array(out)


def running_mean():
    """What a running median over eleven lines comes to at best."""
    near = np.abs(np.subtract.outer(np.arange(LINES), np.arange(LINES))) <= 5
    half = near / near.sum(1, keepdims=True) / 2
    return np.stack([np.concatenate([half, half], 1)] * OUTPUTS)


def learn(frames, usable=None):
    usable = np.ones(frames.shape[-2:], bool) if usable is None else usable
    return side_kriging.learn(sides(jnp.asarray(frames)[None]), jnp.asarray(usable), WINDOW)


def sides(frames):
    return [frames[..., side] for side in WINDOW.sides]


def test_residual_has_the_predicted_variance_and_no_method_is_better():
    rng = np.random.default_rng(1)
    drift, frames = draw(rng, 3000)
    predictor = side_kriging.LinePredictor(np.full((LINES, 2 * SIDE), 1 / SIDE), true_weights())
    level = np.asarray(side_kriging.level(jnp.asarray(frames), predictor, WINDOW))[..., ::WIDTH]
    each = ((level - drift) ** 2).mean(1)  # by frame and output
    expected = expected_error(predictor.line)
    # five standard errors of the mean over the frames
    assert (np.abs(each.mean(0) - expected) < 5 * each.std(0) / len(each) ** 0.5).all()
    for other in (running_mean(), np.zeros_like(predictor.line), 0.9 * np.asarray(predictor.line)):
        assert (expected < expected_error(other)).all()
    # the outputs that a side sees are known better than those that none does
    assert max(expected[[0, 3]]) < min(expected[[1, 2]])


def test_no_linear_estimate_is_better():
    """The error is stationary in the weights: each measurement is uncorrelated with what is left of every level."""
    k, left = covariance(), np.eye(LINES) - REFERENCE
    everything = np.kron(np.ones((OUTPUTS, OUTPUTS)), SHARED**2 * k) + np.kron(np.eye(OUTPUTS), OWN**2 * k)
    everything = np.kron(np.eye(OUTPUTS), left) @ everything @ np.kron(np.eye(OUTPUTS), left).T
    seen = np.concatenate([np.arange(LINES) + s * LINES for s in SEEN])
    measured = everything[np.ix_(seen, seen)] + NOISE_DN**2 / SIDE * np.eye(2 * LINES)
    line = np.asarray(true_weights()).reshape(OUTPUTS * LINES, 2 * LINES)
    np.testing.assert_allclose(line @ measured, everything[:, seen], atol=1e-6)


def test_what_a_sample_teaches_comes_close_to_the_best():
    rng = np.random.default_rng(2)
    best = expected_error(true_weights()).mean()
    for _ in range(3):
        predictor = learn(draw(rng, 120)[1])
        np.testing.assert_allclose(np.asarray(predictor.pixel).reshape(LINES, 2, SIDE).sum(-1), 1, rtol=1e-6)
        assert best <= expected_error(predictor.line).mean() < 1.05 * best


@pytest.mark.parametrize("noise", [20.0, 60.0, 200.0])
def test_noisy_reference_pixels_are_believed_little(noise):
    """Samples in which noise passes for drift by two standard errors are one in forty."""
    rng = np.random.default_rng(3)
    none = expected_error(np.zeros((OUTPUTS, LINES, 2 * LINES)), noise=noise).mean()
    left = np.array([expected_error(learn(draw(rng, 120, noise=noise)[1]).line, noise=noise).mean() for _ in range(8)])
    assert (left > 1.001 * none).sum() <= 1
    assert np.median(left) <= 1.001 * none
    if noise > 20:  # here the running mean does harm
        assert expected_error(running_mean(), noise=noise).mean() > 2 * none


def test_levels_that_never_change_teach_nothing_and_the_estimate_is_linear():
    rng = np.random.default_rng(4)
    drift, frames = draw(rng, 60)
    fixed = 30 * rng.standard_normal(frames.shape[1:])
    one, two = learn(frames), learn(frames + fixed)
    np.testing.assert_allclose(one.line, two.line, atol=1e-6)
    mean = np.full(frames.shape, 7.0) + fixed
    noise = frames - mean
    level = [side_kriging.level(jnp.asarray(x), one, WINDOW) for x in (mean + noise, mean - noise, mean)]
    np.testing.assert_allclose((level[0] + level[1]) / 2, level[2], atol=1e-9)


def test_noise_of_the_reset_teaches_nothing():
    rng = np.random.default_rng(8)
    _, frames = draw(rng, 120)
    series = frames.reshape(24, 5, *frames.shape[1:])
    usable = jnp.ones(frames.shape[1:], bool)
    reset = 36.0 * rng.standard_normal((24, 1, *frames.shape[1:]))
    plain = side_kriging.learn(sides(jnp.asarray(series)), usable, WINDOW)
    shaken = side_kriging.learn(sides(jnp.asarray(series + reset)), usable, WINDOW)
    assert np.asarray(shaken.line) == pytest.approx(np.asarray(plain.line), abs=1e-5)
    assert np.abs(np.asarray(plain.line)).sum() > 10


def test_without_ends_an_offset_of_all_lines_passes_whole():
    k, n = covariance(), jnp.full(LINES, NOISE_DN**2 / SIDE)
    nothing = jnp.zeros(LINES)
    line = side_kriging.weights(jnp.asarray(k), jnp.asarray(0.1 * k), [n, n], nothing, SEEN, OUTPUTS)
    np.testing.assert_allclose(np.asarray(line).sum(-1), 1, atol=1e-3)
    one = side_kriging.weights(jnp.asarray(k), jnp.asarray(0 * k), [n], nothing, [3], OUTPUTS)
    np.testing.assert_allclose(np.asarray(one).sum(-1), 1, atol=1e-3)


def test_bad_pixels_are_left_out_once_for_all():
    rng = np.random.default_rng(5)
    _, frames = draw(rng, 60)
    usable = np.ones(frames.shape[1:], bool)
    usable[10, 1] = usable[11, :SIDE] = False
    frames[:, 20, 2] += 40 * rng.standard_normal(60)
    frames[7, 30, -1] += 3000  # a hit
    frames[:, 12, 0] = np.nan
    usable[12, 0] = False
    pixel = np.asarray(learn(frames, usable).pixel).reshape(LINES, 2, SIDE)
    out = np.zeros(pixel.shape, bool)
    out[10, 0, 1] = out[11, 0] = out[20, 0, 2] = out[30, 1, -1] = out[12, 0, 0] = True
    np.testing.assert_array_equal(pixel == 0, out)
    total = np.ones((LINES, 2))
    total[11, 0] = 0
    np.testing.assert_allclose(pixel.sum(-1), total, rtol=1e-6)
    assert np.isfinite(np.asarray(learn(frames, usable).line)).all()
    assert (np.asarray(learn(frames, usable).line)[:, :, 11] == 0).all()


def test_fitted_weights_are_the_best_that_are_not_negative():
    shape = line_levels.shapes(24)
    true = np.array([0.0, 2.0, 0.0, 3.0] + [0.0] * (len(shape) - 4))
    number = 24.0 - np.arange(24)
    wanted = 2 * number * (true @ (1 - shape))
    measured = jnp.asarray(np.stack([wanted] * 10000))  # so many alike: no doubt
    got = np.asarray(line_levels.fitted(measured, number, shape))
    assert (got >= 0).all()
    # updates end some per cent short of the minimum; the misfit, summed over all pairs, is far below the whole
    misfit = 2 * number * (got @ (1 - shape)) - wanted
    assert (misfit**2 / number).sum() < 1e-3 * (wanted**2 / number).sum()
    assert (np.asarray(line_levels.fitted(-measured, number, shape)) == 0).all()


def test_sums_over_pairs_of_lines_are_those_of_a_loop():
    rng = np.random.default_rng(7)
    first, second, known = rng.normal(size=(3, 20)), rng.normal(size=(3, 20)), rng.random(20) > 0.3
    found = line_levels.structure(first, second, known)
    both = line_levels.pairs(first, known)
    for lag in range(20):
        pairs = [(r, r + lag) for r in range(20 - lag) if known[r] and known[r + lag]]
        apart = sum((first[:, r] - first[:, s]) * (second[:, r] - second[:, s]) for r, s in pairs)
        np.testing.assert_allclose(found[:, lag], apart, atol=1e-12)
        np.testing.assert_allclose(both[:, lag], sum(first[:, r] + first[:, s] for r, s in pairs), atol=1e-12)


def turned(ramps: Ramps) -> Ramps:
    """The same exposure with x and y exchanged."""
    r = ramps.readout
    swapped = eqx.tree_at(
        lambda s: (s.data, s.groupdq, s.pixeldq),
        ramps,
        (ramps.data.swapaxes(-1, -2), ramps.groupdq.swapaxes(-1, -2), ramps.pixeldq.T),
    )
    other = type(r)(**{**vars(r), "fast_axis": 2, "slow_axis": 1})
    other = type(r)(**{**vars(other), "reference_rows": r.reference_columns, "reference_columns": r.reference_rows})
    return replace(swapped, readout=other)


def test_axes_may_be_turned(exposure):
    ramps = exposure(nints=2).ramps
    dq = np.zeros(ramps.pixeldq.shape, np.uint32)
    dq[5, 1] = flags.DO_NOT_USE
    ramps = eqx.tree_at(lambda s: (s.data, s.pixeldq), ramps, (ramps.data.astype(np.float32), dq))
    params = {"refpix": RefpixParams(side_estimator="kriging")}
    results = []
    for state in (ramps, turned(ramps)):
        known = learned((refpix,), state, {}, params)
        assert known["line_predictor"] is not None
        after, _ = refpix(state, RefpixRefs(known["line_predictor"]), params["refpix"])
        results.append(np.asarray(after.data))
        assert (results[-1] != np.asarray(state.data)).any()
    np.testing.assert_allclose(results[0], results[1].swapaxes(-1, -2), atol=1e-2)


def test_unknown_estimator_is_refused_in_one_line(exposure):
    with pytest.raises(InputError, match="side_estimator=mean: expected median or kriging"):
        learned((refpix,), exposure(nints=2).ramps, {}, {"refpix": RefpixParams(side_estimator="mean")})
    with pytest.raises(InputError, match="refpix_algorithm=sirs: windows take median"):
        learned((refpix,), exposure(nints=2).ramps, {}, {"refpix": RefpixParams(refpix_algorithm="sirs")})
