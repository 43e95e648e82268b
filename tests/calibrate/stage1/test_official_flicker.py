"""clean_flicker_noise against the official function."""

from dataclasses import replace
from types import SimpleNamespace

import equinox as eqx
import numpy as np
import pytest
from astropy.io import fits

from flicker_ramps import official_clean, striped, unlit
from official_ramps import READ_DN, call, electronics, official_fit, ramps
from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.flat import Flat
from uptheramp.calibrate.references.user_files import UserMask
from uptheramp.calibrate.stage1.clean_flicker_noise import (
    CleanFlickerNoiseParams,
    CleanFlickerNoiseRefs,
    clean_flicker_noise,
    learn_scene,
)

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")


@pytest.mark.parametrize(("slow_axis", "method"), [(1, "median"), (2, "median"), (1, "none")])
def test_clean_flicker_noise(slow_axis, method):
    from jwst.clean_flicker_noise import clean_flicker_noise as peer

    state = ramps(nints=2, ngroups=5, shape=(40, 48), top=0.0, seed=4)
    rng = np.random.default_rng(6)
    shape = (2, 5, 40, 1) if slow_axis == 2 else (2, 5, 1, 48)
    light = np.exp(-0.5 * ((np.arange(40)[:, None] - 20) / 3.0) ** 2) * np.ones(48) * 300 + 15
    state.data[:] += rng.normal(0, 30, shape) + light * np.arange(1, 6)[:, None, None]
    state.data[1, 3:, 5, 5] += 5000
    state.groupdq[:] = 0
    state.groupdq[1, 3, 5, 5] = flags.JUMP_DET
    state.groupdq[0, 2, 30:] = flags.DO_NOT_USE
    state.groupdq[0, 4] = flags.DO_NOT_USE  # nothing left to clean
    state = replace(state, readout=replace(state.readout, slow_axis=slow_axis))
    refs = CleanFlickerNoiseRefs(*electronics((40, 48)), None, None)
    params = CleanFlickerNoiseParams(background_method=method)
    draft, _ = official_fit(state)
    weight = np.where(np.isfinite(draft["slope"]), 1 / draft["var_rnoise"], 0)
    rate = (np.nan_to_num(draft["slope"]) * weight).sum(0) / weight.sum(0)
    exposure = SimpleNamespace(exposure=SimpleNamespace(type="NRC_TSGRISM"))
    mask = peer.create_mask(
        SimpleNamespace(data=rate, dq=np.zeros((40, 48), np.uint32), meta=exposure), single_mask=True
    )
    scene = learn_scene(state, refs, params)
    np.testing.assert_array_equal(scene.dark, mask)
    theirs = state.data.copy()
    for i in range(2):
        for j in range(4):
            usable = mask.copy()
            peer._mask_unusable(usable, state.groupdq[i, j + 1])
            image = state.data[i, j + 1] - state.data[i, j]
            settings = method, None, 2.0, "median", "ANY", None, slow_axis, False, None
            cleaned, _, _ = peer._clean_one_image(image, usable, *settings)
            if cleaned is not None:
                theirs[i, j + 1] = theirs[i, j] + cleaned
    ours, _ = call(
        clean_flicker_noise,
        state,
        eqx.tree_at(lambda r: r.flicker_scene, refs, scene, is_leaf=lambda x: x is None),
        params,
    )
    assert np.std(theirs - state.data) > 10
    np.testing.assert_allclose(ours.data, theirs, atol=0.01)


def test_clean_flicker_noise_by_the_median_image_keeps_a_transit():
    state = ramps(nints=12, ngroups=4, shape=(40, 48), top=0.0, seed=4)
    rng = np.random.default_rng(6)
    light = np.exp(-0.5 * ((np.arange(40)[:, None] - 20) / 3.0) ** 2) * np.ones(48) * 3000 + 15
    curve = np.where(np.arange(12) < 6, 1.0, 0.97)[:, None, None, None]
    truth = 900 + curve * light * np.arange(1, 5)[:, None, None]
    stripes = rng.normal(0, 30, (12, 4, 1, 48))
    state.data[:] = truth + stripes + rng.normal(0, READ_DN, truth.shape)
    state.groupdq[:] = 0
    state = replace(state, readout=replace(state.readout, slow_axis=1))
    refs = CleanFlickerNoiseRefs(*electronics((40, 48)), None, None)
    params = CleanFlickerNoiseParams(background_method="median_image")
    ours, _ = call(clean_flicker_noise, state, refs, params)
    left = np.diff(np.asarray(ours.data) - truth, axis=1)[..., :10, :].mean(-2)  # away from the trace
    # the median of twelve integrations holds some of the noise, and that stays
    assert left.std() < 1.15 * np.diff(stripes, axis=1).std() * (np.pi / 2 / 12) ** 0.5 + READ_DN
    bright = (np.asarray(ours.data)[:, -1] - np.asarray(ours.data)[:, 0])[:, 18:23].sum((1, 2))
    depth = 1 - bright[6:].mean() / bright[:6].mean()
    assert abs(depth - 0.03) < 3e-4


def test_noise_by_channel():
    state, _, _ = striped((24, 2048), 2, 4, seed=11)
    dark = np.ones((24, 2048), bool)
    dark[8:16] = False
    refs = CleanFlickerNoiseRefs(*electronics((24, 2048)), None, unlit(dark))
    ours, _ = call(clean_flicker_noise, state, refs, CleanFlickerNoiseParams(fit_by_channel=True))
    theirs = official_clean(state, dark, by_channel=True)
    np.testing.assert_allclose(ours.data, theirs, atol=0.01)
    assert np.abs(official_clean(state, dark) - theirs).std() > 10


@pytest.mark.parametrize("slow_axis", [1, 2])
def test_noise_of_a_flat_fielded_scene(slow_axis):
    state, response, _ = striped((48, 64), slow_axis, 1, seed=12)
    dark = np.ones((48, 64), bool)
    dark[16:32] = False
    zero = np.zeros_like(response)
    flat = Flat(response, zero, zero.astype(np.uint32))
    refs = CleanFlickerNoiseRefs(*electronics((48, 64)), None, unlit(dark), flat=flat)
    ours, _ = call(clean_flicker_noise, state, refs, CleanFlickerNoiseParams(apply_flat_field=True))
    theirs = official_clean(state, dark, flat=response)
    np.testing.assert_allclose(ours.data, theirs, atol=0.01)
    assert np.abs(official_clean(state, dark) - theirs).max() > 0.1


@pytest.mark.parametrize("planes", [1, 2])
def test_noise_outside_a_mask_of_the_user(tmp_path, planes, prism):
    state, _, _ = striped((48, 64), 1, 1, seed=13)
    mask = np.ones((planes, 48, 64), np.float32)
    mask[0, 16:32], mask[-1, 14:30] = 0, 0
    path = tmp_path / "mask.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(mask if planes > 1 else mask[0], name="SCI")]).writeto(path)
    meta = prism(nints=2, x_size=64, y_size=48)
    nothing = unlit(np.zeros((48, 64)))
    refs = CleanFlickerNoiseRefs(*electronics((48, 64)), None, nothing, user_mask=UserMask.from_file(path, meta))
    ours, _ = call(clean_flicker_noise, state, refs, CleanFlickerNoiseParams())
    theirs = official_clean(state, (mask if planes > 1 else mask[0]).astype(bool))
    np.testing.assert_allclose(ours.data, theirs, atol=0.01)
    with pytest.raises(InputError, match=r"mask\.fits.*does not fit"):
        UserMask.from_file(path, prism(nints=3, x_size=64, y_size=47))
    with pytest.raises(InputError, match=r"nothing\.fits"):
        UserMask.from_file(tmp_path / "nothing.fits", meta)


def test_the_mask_knows_the_flat_and_the_science_regions():
    state, response, _ = striped((48, 64), 1, 1, seed=14)
    state.data[:, :, 2, 10:14] += 600 * np.arange(1, 5, dtype=np.float32)[:, None]  # pixels that respond like sixteen
    response[2, 10:14] = 16
    zero = np.zeros_like(response)
    pixeldq = np.zeros((48, 64), np.uint32)
    pixeldq[:, :5] = flags.NON_SCIENCE
    state = replace(state, pixeldq=pixeldq)
    aperture = Extract1d(np.array([15.5]), np.array([31.5]), np.zeros((0, 2, 1)), 1)
    flat = Flat(response, zero, zero.astype(np.uint32))
    refs = CleanFlickerNoiseRefs(*electronics((48, 64)), None, None, flat, aperture)
    learn = eqx.filter_jit(lambda params: learn_scene(state, refs, params).dark)
    expected = np.ones((48, 64), bool)
    expected[16:32], expected[:, :5] = False, False
    regions = learn(CleanFlickerNoiseParams(mask_science_regions=True, n_sigma=0.0))
    np.testing.assert_array_equal(regions, expected)
    plain, flattened = (learn(CleanFlickerNoiseParams(apply_flat_field=asked)) for asked in (False, True))
    assert not plain[2, 10:14].any() and flattened[2, 10:14].all()
