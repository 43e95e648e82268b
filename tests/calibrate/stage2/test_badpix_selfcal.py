"""Bad pixels that an exposure shows by itself: the official choice of them, and what becomes of them."""

from dataclasses import replace

import equinox as eqx
import jax
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage2 import badpix_selfcal as own
from uptheramp.calibrate.state import Rates

BAD = ((4, 10), (20, 33), (11, 2))
learn = eqx.filter_jit(own.learn_bad)


def exposure(axis):
    """Six integrations of a trace along x (1) or y (2), with unknown, unusable and hot pixels."""
    rng = np.random.default_rng(2)
    cross, along = np.mgrid[:24, :60]
    light = 5 + 100 * np.exp(-0.5 * ((cross - 12) / 1.5) ** 2) * (1 + 0.01 * along)
    data = (light + rng.normal(size=(6, 24, 60))).astype(np.float32)
    dq = np.zeros(data.shape, np.uint32)
    for y, x in BAD:
        data[:, y, x] += 60
    data[:, 15, 40], dq[:, 15, 40] = np.nan, flags.DO_NOT_USE
    dq[2, 3, 3] = flags.DO_NOT_USE
    if axis == 2:
        data, dq = (np.ascontiguousarray(np.swapaxes(plane, 1, 2)) for plane in (data, dq))
    one = np.ones_like(data)
    return Rates(data, one, one, 0 * one, dq, np.arange(6)), own.BadpixSelfcalRefs(Extract1d.neutral(META[axis]), None)


META = {
    axis: type("Meta", (), {"x_size": x, "y_size": y, "shape": (y, x)}) for axis, x, y in ((1, 60, 24), (2, 24, 60))
}


@pytest.mark.peer
@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("image", ["minimum", "median"])
def test_the_same_pixels_as_the_official_function(axis, image):
    official = pytest.importorskip("jwst.badpix_selfcal.badpix_selfcal")
    state, refs = exposure(axis)
    params = own.BadpixSelfcalParams(0.002, 0.004, 7, image)
    cube = np.where(state.dq & flags.DO_NOT_USE, np.nan, state.data)
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="All-NaN"):
        one = np.nanmin(cube, 0) if image == "minimum" else np.nanmedian(cube, 0)
    expected = np.zeros(one.shape, bool)
    expected[official.badpix_selfcal(one, 0.002, 0.004, 7, axis)] = True
    assert expected.sum() == 3 + 6
    np.testing.assert_array_equal(np.asarray(learn(state, refs, params).bad), expected)


@pytest.mark.parametrize("axis", [1, 2])
def test_hot_pixels_are_flagged_in_every_integration(axis):
    state, refs = exposure(axis)
    params = own.BadpixSelfcalParams(0.0, 0.0017, 7)
    found = learn(state, refs, params)
    where = {at if axis == 1 else at[::-1] for at in BAD}
    assert set(zip(*np.nonzero(np.asarray(found.bad)), strict=True)) == where
    out, _ = own.badpix_selfcal(state, replace(refs, found=found), params)
    for at in where:
        assert np.all(np.asarray(out.dq)[:, *at] == flags.DO_NOT_USE | flags.OTHER_BAD_PIXEL)
    np.testing.assert_array_equal(np.asarray(out.dq) == state.dq, np.broadcast_to(~found.bad, state.dq.shape))
    untouched, _ = own.badpix_selfcal(state, refs, params)
    assert jax.tree.all(jax.tree.map(lambda a, b: a is b, untouched, state))


def test_senseless_parameters_are_refused():
    with pytest.raises(InputError, match="image=mean: give one of minimum, median"):
        own.BadpixSelfcalParams(image="mean")
    with pytest.raises(InputError, match="kernel_size=0"):
        own.BadpixSelfcalParams(kernel_size=0)
