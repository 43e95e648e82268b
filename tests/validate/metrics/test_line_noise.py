"""What levels of lines add to light curves, against dense generalised least squares over all pixels and differences."""

from dataclasses import replace
from types import SimpleNamespace
from typing import NamedTuple

import jax
import numpy as np
import pytest

from uptheramp.scenarios import limit
from uptheramp.simulate.detector import one_over_f
from uptheramp.validate.metrics import levels_posterior
from uptheramp.validate.metrics.levels_posterior import Drift, posterior
from uptheramp.validate.metrics.limits import group_times, slope_variance
from uptheramp.validate.metrics.line_noise import Pixels, added_covariance

LINES, OUTPUTS, KEPT, GROUPS, CHANNELS = 5, 2, 6, 4, 3
SEGMENTS = 2
LEVELS = LINES * SEGMENTS * OUTPUTS
TIMES = group_times(SimpleNamespace(nframes=2, ngroups=GROUPS, frames_per_group=3), 0.5)


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    monkeypatch.setattr(levels_posterior, "TOLERANCE", 1e-10)


def drift(amplitude=1.0):
    """A process exp(-|t| / 7) + 0.3 exp(-|t|), a line a unit of time, a segment 0.4, frames of LINES + 1."""
    t = np.arange(GROUPS)[:, None, None] * (LINES + 1.0) + np.arange(1 - LINES, LINES)[:, None]
    t = np.abs(t + 0.4 * np.arange(1 - SEGMENTS, SEGMENTS))
    common = np.array([[1.3, 0.9], [0.9, 1.3]])
    return Drift(amplitude**2 * common, np.exp(-t / 7) + 0.3 * np.exp(-t))


def detector(along, seed=0, references=False):
    """Two orders on a small detector whose dispersion runs `along` the lines or across; some groups are lost."""
    rng = np.random.default_rng(seed)
    line, fast = np.divmod(np.arange(LINES * OUTPUTS * KEPT), OUTPUTS * KEPT)
    element, across = (fast, line) if along else (line, fast)
    light = np.stack([(np.abs(across - at) < 2) * rng.uniform(20, 60, line.size) for at in (1.0, 2.5)])
    light[1, element < 2] = 0  # an order without light
    share = np.stack([(np.abs(across - at) < 2.5) * 1.0 for at in (1.0, 2.5)])
    usable = np.ones((GROUPS - 1, line.size), bool)
    usable[-1, light.sum(0) > 70] = False
    usable[1, 7] = usable[:, 11] = False
    if references:
        line, fast, element = (np.append(x, x[fast % (KEPT // SEGMENTS) == 0]) for x in (line, fast, element))
        more = len(line) - light.shape[1]
        light, share = (np.pad(x, ((0, 0), (0, more))) for x in (light, share))
        usable = np.pad(usable, ((0, 0), (0, more)), constant_values=True)
    pixels = Pixels(
        rate_e_per_s=light.sum(0) + 0.5,
        read_noise_e=np.where(light.sum(0) > 0, rng.uniform(4, 8, line.size), 5.0),
        usable=usable,
        level=(line * SEGMENTS + fast % KEPT * SEGMENTS // KEPT) * OUTPUTS + fast // KEPT,
        element=element,
        light=light,
        share=share,
    )
    return pixels, rng.uniform(0, 1, (CHANNELS, 2, element.max() + 1))


class Dense(NamedTuple):
    """Covariances of channels, and what they were made of."""

    without: np.ndarray  # levels
    with_levels: np.ndarray  # estimated and taken out
    best: np.ndarray  # weights, without levels
    best_with_levels: np.ndarray
    estimator: np.ndarray  # (channel, difference of a pixel)
    spread: np.ndarray  # of levels over differences
    noise: np.ndarray  # covariance by photons and reads


def dense(pixels, weights, c, at=TIMES):
    """Covariance of the channels: without levels, with the levels estimated, and of the best weights.

    `c` is the covariance of the levels; everything as one matrix over the used differences of all pixels.
    """
    count, groups = len(pixels.level), len(at.mean_s)
    step, dt, noise = np.diff(np.eye(groups), axis=0), np.diff(at.mean_s), pixels.read_noise_e**2 / at.reads
    poisson = np.minimum.outer(at.mean_s, at.mean_s)
    np.fill_diagonal(poisson, at.tau_s)
    rows = np.argwhere(pixels.usable.T)
    v, z, times = np.zeros((len(rows),) * 2), np.zeros((len(rows), len(c))), dt[rows[:, 1]]
    for p in range(count):
        mine = np.flatnonzero(rows[:, 0] == p)
        d = step[rows[mine, 1]]
        v[np.ix_(mine, mine)] = d @ (pixels.rate_e_per_s[p] * poisson + noise[p] * np.eye(groups)) @ d.T
        z[np.ix_(mine, pixels.level[p] * groups + np.arange(groups))] = d
    orders, elements = len(pixels.light), weights.shape[-1]
    a, w = np.zeros((len(rows), orders * elements)), np.zeros((len(weights), len(rows)))
    for k in range(orders):
        a[np.arange(len(rows)), k * elements + pixels.element[rows[:, 0]]] = pixels.light[k, rows[:, 0]] * times
    a = a[:, (a != 0).any(0)]
    inverse = np.linalg.inv(v)
    for p in range(count):
        mine = np.flatnonzero(rows[:, 0] == p)
        if len(mine):
            slope = inverse[np.ix_(mine, mine)] @ times[mine]
            share = (weights[:, :, pixels.element[p]] * pixels.share[:, p]).sum(1)
            w[:, mine] = np.outer(share, slope / (slope @ times[mine]))
    full = v + z @ c @ z.T
    h = w @ a
    best, both = (h @ np.linalg.inv(a.T @ np.linalg.inv(x) @ a) @ h.T for x in (v, full))
    p_0 = inverse - inverse @ a @ np.linalg.solve(a.T @ inverse @ a, a.T @ inverse)
    known = np.linalg.inv(np.linalg.inv(c) + z.T @ p_0 @ z)
    estimator = w - w @ z @ known @ z.T @ p_0
    return Dense(w @ v @ w.T, estimator @ full @ estimator.T, best, both, estimator, z, v)


def matrix(levels):
    """C of a drift as one matrix."""
    groups = len(levels.lags)
    unit = np.eye(levels.levels * groups).reshape(levels.levels, groups, -1)
    return (levels @ unit).reshape(unit.shape[-1], -1)


def with_best_weights(pixels, weights):
    """The same pixels with shares that weigh each best: one order, each pixel by light / variance."""
    one = replace(pixels, light=pixels.light[:1], rate_e_per_s=pixels.light[0] + 0.5)
    variance = slope_variance(one.rate_e_per_s, one.read_noise_e, TIMES, np.ones_like(one.usable))
    best = replace(one, usable=np.ones_like(one.usable), share=one.light / variance)
    return best, weights[:, :1]


@pytest.mark.parametrize("along", [True, False])
def test_it_is_the_dense_result(along):
    pixels, weights = detector(along)
    expected = dense(pixels, weights, matrix(drift()))
    got = added_covariance(pixels, TIMES, drift(), weights)
    sigma = np.sqrt(expected.without.diagonal())
    added = (expected.with_levels - expected.without) / np.outer(sigma, sigma)
    np.testing.assert_allclose(got / np.outer(sigma, sigma), added, atol=1e-6)
    assert (added.diagonal() > 0.01).all()  # not in vain


@pytest.mark.parametrize("along", [True, False])
def test_with_the_best_weights_it_is_the_difference_of_two_gls_covariances(along):
    pixels, weights = with_best_weights(*detector(along))
    expected = dense(pixels, weights, matrix(drift()))
    got = added_covariance(pixels, TIMES, drift(), weights)
    np.testing.assert_allclose(got, expected.best_with_levels - expected.best, rtol=1e-6, atol=1e-6 * got.max())


def test_the_covariance_of_levels_is_that_of_the_process():
    line, segment, output, group = (i.ravel() for i in np.indices((LINES, SEGMENTS, OUTPUTS, GROUPS)))
    t = line + 0.4 * segment + (LINES + 1.0) * group
    apart = np.abs(np.subtract.outer(t, t))
    expected = drift().outputs[output[:, None], output] * (np.exp(-apart / 7) + 0.3 * np.exp(-apart))
    np.testing.assert_allclose(matrix(drift()), expected, atol=1e-12)


def test_limits():
    pixels, weights = with_best_weights(*detector(True))

    def added(amplitude, pixels=pixels):
        return np.linalg.eigvalsh(added_covariance(pixels, TIMES, drift(amplitude), weights))

    assert (np.abs(added(0.0)) == 0).all()
    growing = [added(a) for a in (0.1, 0.3, 1.0, 3.0)]
    assert (np.diff(growing, axis=0) > 0).all() and (growing[0] > 0).all()
    # levels that references of no noise tell add nothing
    known, weights = with_best_weights(*detector(True, references=True))
    quiet = np.where(np.arange(len(known.level)) < LINES * OUTPUTS * KEPT, known.read_noise_e, 0.1)
    told = added(1.0, replace(known, read_noise_e=quiet, rate_e_per_s=np.where(quiet < 1, 0, known.rate_e_per_s)))
    assert told.max() < 0.02 * added(1.0, known).max()


def test_a_system_without_levels_is_solved():
    y = np.zeros((LEVELS, GROUPS, 2))
    assert (posterior(lambda x: x, np.eye(GROUPS), drift(), y) == 0).all()


def test_noise_of_the_simulator_scatters_by_it(monkeypatch):
    """Ramps of a small window with 1/f noise as the simulator draws it, through the dense estimator."""
    monkeypatch.setattr(limit, "LONGEST", 1)  # a level for each sample, so that nothing of the process is left out
    draws, groups, reads = 600, 3, 2
    plan = one_over_f.Layout(
        lines=6, kept=8, overhead=3, tail=9, reset_clocks=0, outputs=2, fast_axis=-1, slow_axis=2, interleaved=False,
        streams=("common", "independent", "independent"),
    )  # fmt: skip
    detector = SimpleNamespace(one_over_f=SimpleNamespace(common_e=4.0, independent_e=2.0, alternating_e=0.0))
    readout = SimpleNamespace(ngroups=groups, nframes=reads, frames_per_group=3, outputs=2)
    process = one_over_f.pink(detector, readout, plan)
    levels, shape = limit.drift(process, SimpleNamespace(readout=readout)), (plan.lines, 2 * plan.kept)
    times = group_times(readout, (plan.lines * (plan.kept + plan.overhead) + plan.tail) * 1e-5)
    line, fast = np.indices(shape).reshape(2, -1)
    light = (3e5 * np.exp(-(((line - 2.6) / 0.8) ** 2)))[None]
    pixels = Pixels(
        rate_e_per_s=light[0],
        read_noise_e=np.full(line.size, 6.0),
        usable=np.ones((groups - 1, line.size), bool),
        level=limit.levels(plan).ravel(),
        element=fast,
        light=light,
        share=(np.abs(line - 2.6) < 2.5)[None] * 1.0,
    )
    weights = np.stack([fast[:16] < 8, fast[:16] >= 0])[:, None] * 1.0
    expected = dense(pixels, weights, matrix(levels), times)
    added = added_covariance(pixels, times, levels, weights)
    np.testing.assert_allclose(added, expected.with_levels - expected.without, rtol=1e-5)
    assert (added.diagonal() > 0.2 * expected.without.diagonal()).all()

    @jax.jit
    def frames(state, key):
        """Frames of one integration, a fresh start each."""

        def frame(state, key):
            keys = jax.random.split(key, 4)
            state, samples = jax.vmap(one_over_f.frame_of, in_axes=(0, 0, None))(keys[:3], state, process)
            return one_over_f.wait(keys[3], state, process, 2), one_over_f.image_of(samples, process)

        return jax.lax.scan(frame, state, jax.random.split(key, groups * 3))[1]

    first, second = (jax.random.split(jax.random.key(k), draws) for k in (1, 2))
    start = jax.vmap(lambda key: one_over_f.initial(key, process))(first)
    drawn = np.asarray(jax.lax.map(lambda x: frames(*x), (start, second)), float)
    means = drawn.reshape(draws, groups, 3, -1)[:, :, :reads].mean(2)
    white = (
        np.random.default_rng(3).standard_normal((draws, len(expected.noise))) @ np.linalg.cholesky(expected.noise).T
    )
    noise = np.diff(means, axis=1).transpose(0, 2, 1).reshape(draws, -1) + white
    scatter = (noise @ expected.estimator.T).var(0, ddof=1)
    # the variance of a normal sample scatters by sqrt(2 / n) of itself
    assert np.abs(scatter / expected.with_levels.diagonal() - 1).max() < 3.5 * (2 / draws) ** 0.5
