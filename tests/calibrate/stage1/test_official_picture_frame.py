"""picture_frame against the official function."""

from dataclasses import replace

import numpy as np
import pytest

from official_ramps import call, ramps
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.pictureframe import PictureFrame
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.stage1.picture_frame import PictureFrameParams, PictureFrameRefs, PictureMask, picture_frame

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")


def test_picture_frame():
    from jwst.picture_frame.picture_frame import _region_masks

    rng = np.random.default_rng(5)
    full = (2048, 2048)
    y = np.linspace(-1, 1, 2048)
    pattern = (0.02 * np.maximum(np.abs(y[:, None]), np.abs(y)) ** 4).astype(np.float32)
    mask = np.ones(full, bool)
    mask[:, 300:420] = False
    steps = np.array([0, 900], np.float32)[:, None, None]
    data = 5 * rng.standard_normal((1, 2, *full), np.float32) + pattern * steps
    state = replace(ramps(nints=1, ngroups=2), data=data, groupdq=np.zeros(data.shape, np.uint8))
    ones = np.ones(full, np.float32)
    refs = PictureFrameRefs(Gain(ones, np.float32(1)), ReadNoise(ones), None, PictureFrame(pattern), PictureMask(mask))
    ours, _ = call(picture_frame, state, refs, PictureFrameParams())
    middle, edge = _region_masks(mask)
    centre, below = np.median(pattern[middle]), np.median(pattern[edge])
    image = data[0, 1] - data[0, 0]
    levels = np.median(image[middle]), np.median(image[edge])
    found = (levels[0] - levels[1]) / (centre - below) * (pattern - below) + levels[1]
    np.testing.assert_allclose(ours.data[0, 1], data[0, 1] - found, atol=2e-3)
    np.testing.assert_array_equal(ours.data[0, 0], data[0, 0])
    # no unlit pixel at the edges, or none in the middle: nothing to scale by, as in the official step
    for lit in (edge, middle):
        blind = replace_mask(refs, mask & ~lit)
        ours, _ = call(picture_frame, state, blind, PictureFrameParams())
        np.testing.assert_array_equal(ours.data, data)


def replace_mask(refs, mask):
    return PictureFrameRefs(refs.gain, refs.readnoise, refs.dark, refs.pictureframe, PictureMask(mask))
