"""saturation against the official function."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from official_ramps import call, ramps, same
from uptheramp.calibrate import flags
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.references.saturation import Saturation
from uptheramp.calibrate.references.superbias import Superbias
from uptheramp.calibrate.stage1.saturation import SaturationParams, SaturationRefs, saturation

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")


def official(state, threshold, dq, bias, grow, read_pattern=True):
    """Group flags, pixel flags and ZEROFRAME by the official function."""
    from stcal.saturation.saturation import flag_saturated_pixels
    from stdatamodels.jwst.datamodels import dqflags

    n, ngroups = state.readout.nframes, state.readout.ngroups
    return flag_saturated_pixels(
        state.data.copy(),
        state.groupdq.copy(),
        state.pixeldq.copy(),
        threshold.copy(),
        dq.copy(),
        65535.0,
        dqflags.pixel,
        n_pix_grow_sat=grow,
        zframe=copy.copy(state.zeroframe),
        read_pattern=[[k + 1 + g * n for k in range(n)] for g in range(ngroups)] if read_pattern else None,
        bias=bias,
    )


@pytest.mark.parametrize(
    ("nframes", "gap", "grow", "read_pattern"),
    [(1, 0, 1, True), (1, 0, 2, False), (4, 0, 0, True), (4, 0, 1, False), (8, 2, 1, True), (8, 2, 2, True)],
)
def test_saturation(nframes, gap, grow, read_pattern):
    state = ramps(nframes=nframes, gap=gap, seed=5, zeroframe=nframes > 1, shape=(14, 15))
    rng = np.random.default_rng(2)
    threshold = rng.uniform(40000, 60000, state.pixeldq.shape).astype(np.float32)
    dq = np.zeros(threshold.shape, np.uint32)
    dq[3, 3:6] = flags.NO_SAT_CHECK
    threshold[9, 9] = np.nan
    bias = np.full(threshold.shape, 900, np.float32)
    theirs = official(state, threshold, dq, bias, grow, read_pattern)
    refs = SaturationRefs(Saturation.tidy(threshold, dq), Superbias(bias, dq * 0))
    ours, _ = call(saturation, state, refs, SaturationParams(n_pix_grow_sat=grow, use_readpatt=read_pattern))
    same(ours, SimpleNamespace(groupdq=theirs[0], pixeldq=theirs[1]))
    if nframes > 1:
        assert (theirs[2] == 0).any()
        np.testing.assert_array_equal(ours.zeroframe, theirs[2])


# raw levels, DN: what happens to a pixel whose threshold is 60000, far from all others
HISTORIES = {
    "at the threshold": (10, 20000, 60000, 61000, 62000),
    "below it": (10, 20000, 40000, 50000, 59999),
    "back below it": (10, 20000, 40000, 60000, 40000),
    "all groups": (60000, 62000, 62000, 60000, 62000),
    "floor": (0, 0, 20, 40, 60),
    "floor and saturation": (0, 0, 20, 40, 61000),
    "floor in the last group": (10, 20, 30, 40, 0),
    "saturated and at the floor at once": (61000, 0, 0, 61000, 0),
    "a hit in the second group": (500, 50000, 65000, 66000, 67000),
    "a bright one without a hit": (20000, 41000, 62000, 65000, 65535),
    "a hit on a high bias": (18000, 31000, 65000, 65500, 65535),
    "not to be judged": (65535, 65535, 65535, 65535, 65535),
    "partly in the last group": (10000, 25000, 40000, 55000, 59000),
}


@pytest.mark.parametrize("nframes", [1, 5])
@pytest.mark.parametrize("grow", [0, 1, 3])
def test_saturation_of_single_histories(nframes, grow):
    ngroups, n = 5, len(HISTORIES)
    shape = (9, 9 * n)
    readout = Readout(ngroups, nframes, 0, nframes, 1, 2, 1, (0, 0), (0, 0), "none", 0)
    state = replace(ramps(nints=1, ngroups=ngroups), readout=readout, pixeldq=np.zeros(shape, np.uint32))
    data = np.full((1, ngroups, *shape), 15100, np.float32)
    data[0, :, 4, 4::9] = np.array(list(HISTORIES.values())).T
    state = replace(state, data=data, groupdq=np.zeros(data.shape, np.uint8))
    threshold, bias = np.full(shape, 60000, np.float32), np.full(shape, 15000, np.float32)
    bias[4, 4::9] = [15000 if "bias" in name else 0 for name in HISTORIES]
    state.pixeldq[4, 4] = flags.NONLINEAR
    dq = np.zeros(shape, np.uint32)
    dq[4, 4::9] = [flags.NO_SAT_CHECK if "judged" in name else 0 for name in HISTORIES]
    theirs = official(state, threshold, dq, bias, grow)
    refs = SaturationRefs(Saturation.tidy(threshold, dq), Superbias(bias, dq * 0))
    ours, _ = call(saturation, state, refs, SaturationParams(n_pix_grow_sat=grow))
    same(ours, SimpleNamespace(groupdq=theirs[0], pixeldq=theirs[1]))
    seen = dict(zip(HISTORIES, np.asarray(ours.groupdq)[0, :, 4, 4::9].T.tolist(), strict=True))
    assert seen["back below it"][3:] == [flags.SATURATED] * 2
    assert seen["all groups"] == [flags.SATURATED] * 5
    assert seen["floor"][:2] == [flags.AD_FLOOR | flags.DO_NOT_USE] * 2
    assert seen["a hit in the second group"][1] == (flags.DO_NOT_USE if nframes > 1 else 0)
