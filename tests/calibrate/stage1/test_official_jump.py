"""jump against the official function."""

import numpy as np
import pytest

from official_ramps import FRAME_S, call, electronics, hit_ramps, jump_data
from uptheramp.calibrate import flags
from uptheramp.calibrate.stage1.jump import JumpParams, JumpRefs, jump

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")


AFTER = {
    "after_jump_flag_dn1": 50.0,
    "after_jump_flag_time1": 3 * FRAME_S,
    "after_jump_flag_dn2": 800.0,
    "after_jump_flag_time2": 6.5 * FRAME_S,
}


JUMP_CASES = {
    "two-point, one by one": (4, 5, {}),
    "two-point, at once": (2, 14, {}),
    "two-point, three groups": (3, 3, {}),
    "two-point, after jumps": (3, 13, AFTER),
    "two-point, no neighbours": (3, 6, {"flag_4_neighbors": False}),
    "sigma clip": (100, 5, {}),
    "sigma clip, after jumps": (101, 6, {**AFTER, "rejection_threshold": 5.0}),
    "sigma clip, two groups": (100, 3, {}),
    "sigma clip across groups": (30, 5, {"only_use_ints": False}),
    "too few groups for sigma clip": (19, 5, {"only_use_ints": False}),
}


@pytest.mark.parametrize("case", JUMP_CASES)
def test_jump(case):
    from stcal.jump.jump import detect_jumps_data

    nints, ngroups, settings = JUMP_CASES[case]
    params = JumpParams(**settings)
    state = hit_ramps(nints, ngroups, seed=len(case))
    theirs, _, _, _ = detect_jumps_data(jump_data(state, params))
    ours, _ = call(jump, state, JumpRefs(*electronics(state.pixeldq.shape), None), params)
    assert ((theirs & flags.JUMP_DET) != 0).sum() > 3
    np.testing.assert_array_equal(ours.groupdq, theirs)


def test_a_group_that_sigma_clipping_would_lose_everywhere_is_kept():
    state = hit_ramps(100, 4, seed=1)
    state.data[7, 2:] += 3e5
    state.groupdq[:] = 0
    ours, _ = call(jump, state, JumpRefs(*electronics(state.pixeldq.shape), None), JumpParams())
    assert not (np.asarray(ours.groupdq)[7, 2] & flags.JUMP_DET).any()
