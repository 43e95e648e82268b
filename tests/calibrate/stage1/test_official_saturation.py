"""saturation against the official function."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest

from official_ramps import call, ramps, same
from uptheramp.calibrate import flags
from uptheramp.calibrate.references.saturation import Saturation
from uptheramp.calibrate.references.superbias import Superbias
from uptheramp.calibrate.stage1.saturation import SaturationParams, SaturationRefs, saturation

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")


@pytest.mark.parametrize(
    ("nframes", "gap", "grow", "read_pattern"),
    [(1, 0, 1, True), (1, 0, 2, False), (4, 0, 0, True), (4, 0, 1, False), (8, 2, 1, True), (8, 2, 2, True)],
)
def test_saturation(nframes, gap, grow, read_pattern):
    from stcal.saturation.saturation import flag_saturated_pixels
    from stdatamodels.jwst.datamodels import dqflags

    state = ramps(nframes=nframes, gap=gap, seed=5, zeroframe=nframes > 1, shape=(14, 15))
    rng = np.random.default_rng(2)
    threshold = rng.uniform(40000, 60000, state.pixeldq.shape).astype(np.float32)
    dq = np.zeros(threshold.shape, np.uint32)
    dq[3, 3:6] = flags.NO_SAT_CHECK
    threshold[9, 9] = np.nan
    bias = np.full(threshold.shape, 900, np.float32)
    n = state.readout.ngroups
    pattern = [[k + 1 + g * nframes for k in range(nframes)] for g in range(n)] if read_pattern else None
    theirs = flag_saturated_pixels(
        state.data.copy(),
        state.groupdq.copy(),
        state.pixeldq.copy(),
        threshold.copy(),
        dq.copy(),
        65535.0,
        dqflags.pixel,
        n_pix_grow_sat=grow,
        zframe=copy.copy(state.zeroframe),
        read_pattern=pattern,
        bias=bias,
    )
    refs = SaturationRefs(Saturation.tidy(threshold, dq), Superbias(bias, dq * 0))
    ours, _ = call(saturation, state, refs, SaturationParams(n_pix_grow_sat=grow, use_readpatt=read_pattern))
    same(ours, SimpleNamespace(groupdq=theirs[0], pixeldq=theirs[1]))
    if nframes > 1:
        assert (theirs[2] == 0).any()
        np.testing.assert_array_equal(ours.zeroframe, theirs[2])
