"""Optimal extraction and the motion of the trace, on spectra whose pixels are known integrals of Gaussians."""

from dataclasses import replace
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from traces import APERTURE, HEIGHT, LIGHT, WIDTH, box_flux, inside, profile, rates
from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.stage2.extract_1d import Extract1dParams, Extract1dRefs, extract_1d, learn_profile


@cache
def programs(**choices):
    """Learn and extract, compiled."""
    params = Extract1dParams(**choices)

    def learn(state):
        return learn_profile(state, Extract1dRefs(APERTURE, None), params)

    def extract(state, learned):
        return extract_1d(state, Extract1dRefs(APERTURE, learned), params)[0]

    return eqx.filter_jit(learn), eqx.filter_jit(extract)


NAMES = ("none", "fit")


@pytest.mark.parametrize("background", NAMES)
def test_the_right_profile_gives_the_light_whatever_is_missing(background):
    """Noiseless light that varies, with levels where they are solved for, and bad pixels anywhere."""
    learn, extract = programs(method="optimal", background=background, trace=False)
    level = (background == "fit") * np.linspace(-40, 60, WIDTH)
    light = np.array([1.0, 0.7, 1.3])[:, None, None] * LIGHT * profile()
    state = rates(light, noise=False)
    learned = replace(learn(state), data=jnp.asarray(profile(), jnp.float32))
    bad = np.random.default_rng(3).random(light.shape) < 0.15
    data = np.where(bad, np.nan, state.data + level.astype(np.float32))
    out = extract(replace(state, data=data, dq=np.where(bad, flags.DO_NOT_USE, 0).astype(np.uint32)), learned)
    used = (np.asarray(out.dq) & flags.DO_NOT_USE) == 0
    # in the windows the wings of the profile are light that no model has
    np.testing.assert_allclose(np.asarray(out.flux)[used], box_flux(light)[used], rtol=3e-5 if level.any() else 2e-6)
    assert 0.9 < used.mean() < 1
    estimated = (np.asarray(out.dq) & flags.FLUX_ESTIMATED) != 0
    assert np.all(estimated[(bad & (inside() * profile() > 0.01)).any(1)])
    assert not np.any(estimated[~(bad & (inside() > 0)).any(1)])


@pytest.mark.parametrize("background", NAMES)
def test_errors_say_how_much_spectra_scatter_and_are_below_those_of_the_box(background):
    """Faint light, so that pixels differ; a level of each element and integration where it is solved for."""
    learn, extract = programs(method="optimal", background=background, trace=False)
    rng = np.random.default_rng(8)
    light = np.broadcast_to(0.2 * LIGHT * profile(), (250, HEIGHT, WIDTH))
    level = (background == "fit") * rng.normal(0, 30, (250, 1, WIDTH))
    state = rates(light, 1)
    learned = replace(learn(state), data=jnp.asarray(profile(), jnp.float32))
    out = extract(replace(state, data=(state.data + level).astype(np.float32)), learned)
    error = np.sqrt((np.asarray(out.err) ** 2).mean())
    assert np.std(out.flux - box_flux(light)) / error == pytest.approx(1, abs=4 / np.sqrt(2 * out.flux.size))
    assert abs((np.asarray(out.flux) - box_flux(light)).mean()) < 4 * error / np.sqrt(out.flux.size)
    if background == "none":
        _, box = programs(background="none", trace=False)
        assert error < 0.9 * np.sqrt((np.asarray(box(state, learned).err) ** 2).mean())


def test_kinds_of_profile():
    """Learned on 24 noisy integrations: the smooth kinds are nearer to the truth than the median image."""
    light = np.broadcast_to(0.2 * LIGHT * profile(), (24, HEIGHT, WIDTH))
    state = rates(light, 2)
    true = profile() / box_flux(profile())
    error = {}
    for kind in ("median", "smoothed", "spline"):
        learned = programs(method="optimal", profile=kind, background="none", trace=False)[0](state)
        found = np.asarray(learned.data)
        error[kind] = np.sqrt((inside() * (found / box_flux(found) - true) ** 2).mean())
    assert error["smoothed"] < 0.6 * error["median"]
    assert error["spline"] < 0.6 * error["median"]
    # without noise nothing but the model's own stiffness is left
    exact = programs(method="optimal", profile="spline", background="none", trace=False)[0](rates(light, noise=False))
    assert np.abs(inside() * (exact.data / box_flux(np.asarray(exact.data)) - true)).max() < 5e-3


MOTION = np.array([[0.0, 0, 0], [0.05, 0, 0], [0, 0.04, 0], [0, 0, 0.02], [-0.03, 0.02, -0.01]])


def moving(per_motion, seed=5, noise=True):
    light = np.stack([LIGHT * profile(*m) for m in MOTION])
    return rates(np.repeat(10 * light, per_motion, 0), seed, noise)


def test_motion_of_the_trace():
    """Position, rotation and width come back to first order, and scatter as their errors say.

    The width is that of the profile as pixels see it: s^2 + 1/12 for a Gaussian of variance s^2.
    """
    learn, extract = programs(profile="smoothed", background="none")
    learned = learn(rates(np.broadcast_to(10 * LIGHT * profile(), (9, HEIGHT, WIDTH)), noise=False))
    exact = np.asarray(extract(moving(1, noise=False), learned).trace)
    variance = (0.9 + 0.002 * np.arange(WIDTH)) ** 2
    seen = [1, 1, (variance / (variance + 1 / 12)).mean()]
    np.testing.assert_allclose(exact, MOTION * seen, atol=1.5e-3)
    noisy = extract(moving(100), learned)
    rest = np.asarray(noisy.trace).reshape(5, 100, 3) - exact[:, None]
    pull = rest.reshape(-1, 3) / np.asarray(noisy.trace_err)
    np.testing.assert_allclose(pull.std(0), 1, atol=4 / np.sqrt(1000))
    np.testing.assert_allclose(pull.mean(0), 0, atol=4 / np.sqrt(500))


def test_a_profile_that_moves_restores_what_the_aperture_loses():
    """Images displaced by 0.05 px with pixels missing: a profile at rest takes them for changes of brightness."""
    bad = np.random.default_rng(3).random((5, HEIGHT, WIDTH)) < 0.1
    state = moving(1, noise=False)
    state = replace(
        state, data=np.where(bad, np.nan, state.data), dq=np.where(bad, flags.DO_NOT_USE, 0).astype(np.uint32)
    )
    rest = rates(np.broadcast_to(10 * LIGHT * profile(), (9, HEIGHT, WIDTH)), noise=False)
    worst = {}
    for kind in ("smoothed", "components"):
        learn, extract = programs(method="optimal", profile=kind, background="none", trace=False)
        out = extract(state, learn(rest))
        used = (np.asarray(out.dq) & flags.DO_NOT_USE) == 0
        worst[kind] = np.abs(np.asarray(out.flux) / (10 * box_flux(LIGHT * profile())) - 1)[used].std()
    assert worst["components"] < 0.2 * worst["smoothed"]


def test_gradients_equal_finite_differences():
    """Of flux and variance, to pixels, profile, its derivatives and the edges of the aperture."""
    params = Extract1dParams(method="optimal", profile="components", background="fit", trace=True)
    state = rates(np.stack([LIGHT * profile(*m) for m in MOTION[:2]]), 4, dtype=np.float64)
    learned = eqx.filter_jit(learn_profile)(state, Extract1dRefs(APERTURE, None), params)
    rng = np.random.default_rng(6)
    starts = (state.data, learned.data, learned.position, learned.weight, APERTURE.lower)
    directions = [rng.normal(size=s.shape) * np.abs(np.asarray(s)).mean() for s in starts]
    tilt = rng.normal(size=(2, WIDTH))

    @jax.jit
    @jax.value_and_grad
    def along(t):
        data, shape, position, weight, lower = (s + a * d for s, a, d in zip(starts, t, directions, strict=True))
        moved = replace(learned, data=shape, position=position, weight=weight)
        out, _ = extract_1d(replace(state, data=data), Extract1dRefs(replace(APERTURE, lower=lower), moved), params)
        return (tilt * (out.flux + out.var_poisson)).sum() + 1e3 * out.trace.sum()

    slopes = along(jnp.zeros(5))[1]
    for k in range(5):
        h = 1e-6 * np.eye(5)[k]
        numerical = float(along(h)[0] - along(-h)[0]) / 2e-6
        assert abs(numerical) > 1e-3
        assert float(slopes[k]) == pytest.approx(numerical, rel=1e-5)


def test_choices_are_checked():
    with pytest.raises(InputError, match="profile=gauss: give one of median, smoothed, spline, components"):
        Extract1dParams(profile="gauss")
    with pytest.raises(InputError, match="extract_1d.method=optimal"):
        Extract1dParams(background="fit")
