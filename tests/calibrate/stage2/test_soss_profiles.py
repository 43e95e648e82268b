"""Profiles of overlapping orders from the image itself: what they let through of one order into another."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import columns, trace_profiles
from uptheramp.calibrate.references.pastasoss import Pastasoss
from uptheramp.calibrate.references.specprofile import Specprofile
from uptheramp.calibrate.stage2.soss_extract import Extract1dParams, Extract1dRefs, extract_1d, learn_typical
from uptheramp.calibrate.state import Rates

HEIGHT, WIDTH = 160, 300
COLUMN = np.arange(WIDTH)
ENDS = 280  # where order 2 does, in some tests
APART = 0.01  # of the depths of the two orders
# the orders approach each other from 100 to 22 pixels; order 2 has at column 0 what order 1 has in the middle
TRACE = np.stack([42 - 4 * np.sin(COLUMN / 120), 64 + 80 * (COLUMN / WIDTH) ** 2])
WAVELENGTH = np.stack([2.8 - 1.9 * COLUMN / WIDTH, 1.4 - 0.8 * COLUMN / WIDTH])
DATA = Extract1dParams(profile="data")


def shapes(wider=0.0):
    """Two horns on a plateau whose width follows the wavelength, and Lorentzian wings with a fifth of the light."""
    distance = np.arange(HEIGHT)[:, None] - TRACE[:, None]
    half = (10.5 + 0.5 * WAVELENGTH)[:, None]
    half = half * (1 + np.array([0.0, wider])[:, None, None])
    plateau = 1 / (1 + np.exp(-(distance + half) / 1.2)) - 1 / (1 + np.exp(-(distance - half) / 1.2))
    horns = sum(0.6 * np.exp(-0.5 * ((distance - side * (half - 3)) / 2) ** 2) for side in (-1, 1))
    core = plateau + horns
    wings = 1 / (1 + (distance / 10) ** 2)
    profile = 0.8 * core / core.sum(1, keepdims=True) + 0.2 * wings / (10 * np.pi)
    return profile / profile.sum(1, keepdims=True)


def scene(profile, noise=0.0, integrations=3):
    """Images of two orders, the second a tenth to a half as bright, before and within a transit; a star beside them."""
    rng = np.random.default_rng(4)
    light = np.stack([1e4 + 8e3 * np.sin(COLUMN / 60), 1e3 + 4e3 * (COLUMN / WIDTH) ** 2])
    out, during = (
        np.einsum("kyx,kx->yx", profile, light * (1 - np.array(depth))[:, None]) + 3.0
        for depth in ((0.0, 0.0), (0.02, 0.02 + APART))
    )
    variance = np.broadcast_to(out + 4, (integrations, HEIGHT, WIDTH))
    images = out + noise * np.sqrt(variance) * rng.normal(size=variance.shape)
    zero = np.zeros_like(images)
    state = Rates(images, variance, zero, zero, np.zeros(images.shape, np.uint32), np.arange(integrations))
    return state, (out, during), out + 4


def leaked(profile, images, variance):
    """Largest part of the difference between the depths that gets into a channel of 20 columns of either order."""
    known = jnp.concatenate([jnp.asarray(profile), jnp.ones((1, HEIGHT, WIDTH))])
    weight = 1 / jnp.asarray(variance)[None]
    inverse = columns.inverse(columns.gram(known, weight))
    flux = jnp.einsum("nkmx,nmx->nkx", inverse, columns.total(known * weight, jnp.stack(images)))
    depth = 1 - np.asarray(flux[1] / flux[0])[:2]
    error = (depth - np.array([0.02, 0.02 + APART])[:, None])[:, :280].reshape(2, -1, 20).mean(-1)
    return np.abs(error).max(1) / APART


@pytest.fixture(scope="module")
def clean():
    profile = shapes(wider=0.02)
    _, images, variance = scene(profile)
    return profile, images, variance, trace_profiles.fit(images[0], 1 / variance, TRACE, WAVELENGTH)


def test_profiles_from_the_image_keep_the_orders_apart(clean):
    profile, images, variance, found = clean
    np.testing.assert_allclose(found.sum(1), 1)
    near = np.abs(np.arange(HEIGHT)[:, None] - TRACE[:, None]) <= 25
    cut = leaked(profile * near, images, variance)  # what official profiles know
    mine = leaked(found, images, variance)
    assert (leaked(profile, images, variance) < 1e-6).all()
    assert (mine < 0.01).all()
    assert (mine < 0.5 * cut).all()
    np.testing.assert_allclose(found[0], profile[0], atol=0.05 * profile[0].max())


def test_bad_pixels_and_other_stars_do_not_matter(clean):
    _, images, variance, without = clean
    rng = np.random.default_rng(1)
    weight = 1 / variance * (rng.random(variance.shape) > 0.03)
    spoilt = np.where(weight > 0, images[0], np.nan)
    spoilt[120:126, 100:106] += 400  # two sources, one beside the traces and one on them
    spoilt[40:44, 200:204] *= 2
    found = trace_profiles.fit(spoilt, weight, TRACE, WAVELENGTH)
    assert (leaked(found, images, variance) < 0.02).all()
    assert np.abs(found - without).sum(1).mean() < 0.01


@pytest.fixture(scope="module")
def exposure():
    profile = shapes()
    profile[1][:, ENDS:] = 0
    state, _, _ = scene(profile, noise=0.05)
    trace = np.where(COLUMN < ENDS, TRACE, np.array([[1.0], [np.nan]]) * TRACE)
    solution = Pastasoss(trace, WAVELENGTH, np.ones(2), np.ones((2, 2)), (1, 2))
    return state, Extract1dRefs(solution, Specprofile(np.zeros_like(profile), (1, 2)), None), profile


def test_the_step_learns_profiles_and_extracts_with_them(exposure):
    state, refs, profile = exposure
    dq = state.dq.copy()
    dq[0, 42, 50] = flags.DO_NOT_USE  # one integration without a pixel
    learned = eqx.filter_jit(learn_typical)(replace(state, dq=dq), refs, DATA)
    assert learned.profile is not None
    assert learned.profile.shape == profile.shape
    assert np.abs(np.asarray(learned.profile) - profile).sum(1).mean() < 0.03
    assert not learned.profile[1][:, ENDS:].any()
    assert learn_typical(state, refs, Extract1dParams()).profile is None

    def total(data):
        spectra, _ = extract_1d(replace(state, data=data), replace(refs, typical=learned), DATA)
        return jnp.nansum(spectra.flux[0, :WIDTH])

    light = float(total(jnp.asarray(state.data)))
    assert light == pytest.approx(np.sum(1e4 + 8e3 * np.sin(COLUMN / 60)), rel=0.02)
    assert np.isfinite(jax.grad(total)(jnp.asarray(state.data))).all()


def test_only_known_sources_of_profiles_are_taken():
    with pytest.raises(InputError, match="give one of reference, data"):
        Extract1dParams(profile="guess")
