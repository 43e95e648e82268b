"""clean_flicker_noise by a Fourier series, a smooth background and a histogram, against the official functions."""

from dataclasses import replace

import equinox as eqx
import numpy as np
import pytest

from flicker_ramps import drifting, glowing, official_clean, striped, unlit
from official_ramps import call, electronics
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import fourier_noise
from uptheramp.calibrate.references.flat import Flat
from uptheramp.calibrate.stage1 import scene
from uptheramp.calibrate.stage1.clean_flicker_noise import (
    CleanFlickerNoiseParams,
    CleanFlickerNoiseRefs,
    clean_flicker_noise,
)

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")


@pytest.mark.parametrize(("detector", "slow_axis"), [("NRS1", 1), ("NRS2", -1)])
def test_noise_as_a_fourier_series(detector, slow_axis):
    state, red, dark = drifting((32, 96), slow_axis, seed=15)
    refs = CleanFlickerNoiseRefs(*electronics((32, 96)), None, unlit(dark))
    ours, _ = call(clean_flicker_noise, state, refs, CleanFlickerNoiseParams(fit_method="fft"))
    theirs = official_clean(state, dark, fit="fft", detector=detector)
    np.testing.assert_allclose(ours.data, theirs, atol=0.01)
    before, after = (np.diff(x, axis=1)[..., dark].std() for x in (red, red + theirs - state.data))
    assert after < 0.5 * before


def test_gaps_do_not_make_the_series_run_away():
    from jwst.clean_flicker_noise.clean_flicker_noise import fft_clean_subarray

    state, _, dark = drifting((32, 96), 1, seed=16)
    image, dark = state.data[0, 1] - state.data[0, 0], dark.copy()
    dark[:, 20:60], image[~dark] = False, 0
    official = image - fft_clean_subarray(image.copy(), dark.copy(), "NRS1")
    ours = np.asarray(eqx.filter_jit(fourier_noise.fitted)(image.T, dark.T)).T
    assert np.abs(official).max() > 1e4 * image.std()  # what both make of a gap is no measurement, but
    assert np.abs(ours).max() < 1e3 * image.std()


@pytest.mark.parametrize(("box", "some_box"), [("", True), ("24,30", True), ("20,36", True), ("72,80", False)])
def test_noise_above_a_smooth_background(box, some_box):
    state, dark = glowing()
    refs = CleanFlickerNoiseRefs(*electronics((72, 80)), None, unlit(dark))
    params = CleanFlickerNoiseParams(background_method="model", background_box_size=box)
    ours, _ = call(clean_flicker_noise, state, refs, params)
    theirs = official_clean(state, dark, "model", box=[int(n) for n in box.split(",")] if box else None)
    np.testing.assert_allclose(ours.data, theirs, atol=0.01)
    level = official_clean(state, dark)
    assert (np.abs(level - theirs).max() > 1) == some_box


def test_pixels_without_a_flat_count_as_their_surroundings():
    from jwst.clean_flicker_noise.background_level import background_level

    state, response, _ = striped((48, 64), 1, 1, seed=20)
    response = response * np.linspace(0.8, 1.2, 64, dtype=np.float32)
    dark = np.ones((48, 64), bool)
    dark[16:32] = False
    bad = np.random.default_rng(20).random(dark.shape) < 0.02
    theirs = np.where(bad, background_level(response, ~bad, background_method="model"), response).astype(np.float32)
    flat = Flat(np.where(bad, np.float32(1), response), np.zeros_like(response), np.where(bad, 1, 0).astype(np.uint32))
    refs = CleanFlickerNoiseRefs(*electronics((48, 64)), None, unlit(dark), flat=flat)
    ours, _ = call(clean_flicker_noise, state, refs, CleanFlickerNoiseParams(apply_flat_field=True))
    np.testing.assert_allclose(ours.data, official_clean(state, dark, flat=theirs), atol=0.01)
    assert np.abs(official_clean(state, dark, flat=theirs) - official_clean(state, dark, flat=flat.data)).max() > 0.1


def test_background_by_its_histogram():
    from jwst.clean_flicker_noise.background_level import clip_to_background

    rng = np.random.default_rng(18)
    image = rng.normal(3, 0.7, (64, 96)).astype(np.float32) + rng.exponential(0.4, (64, 96)).astype(np.float32)
    image[20:30] += 4
    image[0, :5], image[0, 5:8] = np.nan, 0
    theirs = np.isfinite(image) & (image != 0)
    plain = theirs.copy()
    clip_to_background(image, theirs, sigma_upper=2.0, fit_histogram=True)
    clip_to_background(image, plain, sigma_upper=2.0)
    ours = np.asarray(eqx.filter_jit(scene.unlit)(image, 2.0, True))
    assert (plain != theirs).sum() > 50
    assert (ours != theirs).sum() <= 1  # both fits end within their tolerance of the same minimum


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"background_method": "modle"}, "background_method=modle: expected median or model"),
        ({"fit_method": "fft"}, "fft is for windows that one output reads"),
        ({"fit_method": "nsclean"}, "fit_method=nsclean: expected median or fft"),
        ({"background_method": "model", "background_box_size": "32"}, "background_box_size=32: expected rows,columns"),
    ],
)
def test_what_cannot_be_asked_for(given, text):
    state, _, _ = drifting((32, 96), 1, seed=19)
    state = replace(state, readout=replace(state.readout, outputs=4))
    refs = CleanFlickerNoiseRefs(*electronics((32, 96)), None, None)
    with pytest.raises(InputError, match=text):
        call(clean_flicker_noise, state, refs, CleanFlickerNoiseParams(**given))
