"""The matched filter against dense algebra; what the series says of noise; steps found turn by turn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from uptheramp.calibrate.kernels import step_filter
from uptheramp.calibrate.stage1.jump_series import Noise, evidence, hard, learn

READ_E = 12.0
NOISE = Noise(jnp.full((6, 50), READ_E**2), jnp.asarray(0.0))


def test_filter_is_the_best_estimate():
    rng = np.random.default_rng(1)
    n, a, c = 7, 300.0, -120.0
    residual, informs = rng.normal(0, 20, n), np.array([1, 1, 0, 1, 1, 1, 1], bool)
    charge, variance = step_filter.steps(residual, informs, jnp.full(n, a), jnp.asarray(c))
    covariance = a * np.eye(n) + c * (np.eye(n, k=1) + np.eye(n, k=-1))
    for k in range(n):
        others = [j for j in range(n) if informs[j] and j != k]
        kept = sorted([*others, k])
        inverse = np.linalg.inv(covariance[np.ix_(kept, kept)])
        at = kept.index(k)
        np.testing.assert_allclose(charge[k], (inverse @ residual[kept])[at] / inverse[at, at], rtol=1e-10)
        np.testing.assert_allclose(variance[k], 1 / inverse[at, at], rtol=1e-10)


def drawn(nints=200, n=6, seed=3, level=80.0, curve=None):
    """Differences (e-) of ramps with photon and read noise, under a light curve."""
    rng = np.random.default_rng(seed)
    curve = np.ones(nints) if curve is None else curve
    pixels = level * (0.1 + rng.random((6, 50)))
    light = rng.poisson(curve[:, None, None, None] * pixels, (nints, n, 6, 50))
    read = rng.normal(0, READ_E, (nints, n + 1, 6, 50))
    return light + np.diff(read, axis=1)


@jax.jit
def learned(difference, picks):
    return learn(difference[picks], jnp.ones(difference[picks].shape, bool), NOISE, picks)


@jax.jit
def looked(difference, series, threshold, integrations):
    valid = jnp.ones(difference[integrations].shape, bool)
    return evidence(difference[integrations], valid, series, NOISE, integrations, threshold)


def found(difference, threshold, members=24, integrations=None):
    picks = np.linspace(0, len(difference) - 1, members).round().astype(int)
    of = np.arange(len(difference)) if integrations is None else integrations
    return looked(difference, learned(difference, picks), threshold, of)


@pytest.mark.parametrize("members", [10, 24])
def test_threshold_means_what_it_says(members):
    curve = np.where(np.abs(np.arange(200) - 100) < 40, 0.97, 1.0)
    difference = drawn(curve=curve)
    seen = hard(found(difference, 3.0, members), 3.0)
    rate, expected = float(seen.mean()), stats.norm.sf(3.0)
    # estimates of a ramp are correlated, so the number found scatters by up to twice the binomial error
    assert abs(rate - expected) < 0.15 * expected + 4 * 2 * np.sqrt(expected / seen.size)


def test_telegraph_pixels_are_given_room():
    difference = drawn()
    rng = np.random.default_rng(5)
    level = np.cumsum(rng.random(200 * 6) < 0.1).reshape(200, 6) % 2 * 120.0
    difference[:, :, 2, 7] += np.diff(level.ravel(), prepend=0).reshape(level.shape)
    seen = np.asarray(hard(found(difference, 4.5), 4.5))
    up = (np.diff(level.ravel(), prepend=0) > 0).sum()
    assert up > 40  # all of which stand out by more than five standard deviations of a quiet pixel
    assert seen[:, :, 2, 7].sum() < 0.1 * up


def test_steps_are_found_turn_by_turn():
    difference = drawn()
    hits = {
        (3, 1, 2, 4): 5000.0,
        (3, 2, 2, 4): 300.0,
        (3, 4, 2, 4): 200.0,
        (150, 0, 5, 49): 150.0,
        (151, 5, 0, 0): 150.0,
    }
    for at, charge in hits.items():
        difference[at] += charge
    seen = np.asarray(hard(found(difference, 4.5), 4.5))
    assert {tuple(int(i) for i in at) for at in np.argwhere(seen)} == set(hits)


def test_chunks_do_not_matter():
    difference = drawn(nints=40)
    whole = found(difference, 4.5).significance
    part = found(difference, 4.5, integrations=np.arange(10, 20)).significance
    np.testing.assert_allclose(whole[10:20], part, rtol=1e-9, atol=1e-9)


def test_expectation_is_drawn_to_the_ramp_but_follows_what_is_real():
    difference = drawn(nints=24, level=40.0)
    plain = learned(difference, np.arange(24)).template
    assert np.asarray(plain).std(0).mean() < 0.5 * difference.mean(0).std(0).mean()
    difference[:, 0] += 200
    odd = learned(difference, np.arange(24)).template
    np.testing.assert_allclose(np.asarray(odd[0] - odd[2:].mean(0)).mean(), 200, atol=3)
