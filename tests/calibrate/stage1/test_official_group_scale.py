"""group_scale against the official function."""

from dataclasses import replace

import numpy as np
import pytest

from official_ramps import call, model, ramps
from uptheramp.calibrate.stage1.group_scale import group_scale

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")


@pytest.mark.parametrize(("nframes", "divisor"), [(1, 1), (4, 4), (5, 8), (3, 4), (2, 1)])
def test_group_scale(nframes, divisor):
    from jwst.group_scale.group_scale import do_correction

    state = ramps(nints=1, ngroups=3)
    state = replace(state, readout=replace(state.readout, nframes=nframes, frame_divisor=divisor))
    theirs = model(state)
    theirs.meta.exposure.frame_divisor = divisor
    if nframes != divisor:  # its caller skips the step otherwise
        do_correction(theirs)
        assert not np.array_equal(theirs.data, state.data)
    ours, _ = call(group_scale, state, None, None)
    np.testing.assert_allclose(ours.data, theirs.data, rtol=2e-7)
