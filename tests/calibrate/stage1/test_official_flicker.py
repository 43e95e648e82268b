"""clean_flicker_noise against the official function."""

from dataclasses import replace
from types import SimpleNamespace

import equinox as eqx
import numpy as np
import pytest

from official_ramps import READ_DN, call, electronics, official_fit, ramps
from uptheramp.calibrate import flags
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
