"""jump against the official function."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from official_ramps import FRAME_S, call, electronics, hit_ramps, jump_data, ramps
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


def stepped(differences):
    """Ramps of given differences (integration, difference, pixel; DN), in one row; none is quite equal to another."""
    unequal = np.random.default_rng(3).normal(0, 2, differences.shape)
    data = np.cumsum(np.concatenate([np.full_like(differences[:, :1], 900), differences + unequal], axis=1), axis=1)
    data = data[:, :, None].astype(np.float32)
    plain = ramps(nints=data.shape[0], ngroups=data.shape[1])
    unflagged = np.zeros(data.shape, np.uint8), np.zeros(data.shape[2:], np.uint32)
    return replace(plain, data=data, groupdq=unflagged[0], pixeldq=unflagged[1])


def same_flags(state):
    """Official flags, after a look at whether ours are the same; pixels are judged alone."""
    from stcal.jump.jump import detect_jumps_data

    params = JumpParams(flag_4_neighbors=False)
    with np.errstate(all="ignore"):
        theirs, _, _, _ = detect_jumps_data(jump_data(state, params))
    ours, _ = call(jump, state, JumpRefs(*electronics(state.pixeldq.shape), None), params)
    np.testing.assert_array_equal(ours.groupdq, theirs)
    return theirs


@pytest.mark.parametrize("ngroups", [3, 4, 6])
def test_jumps_of_every_history(ngroups):
    # quiet, just above the threshold, far above it, and a fall; the second integration has another history
    every = np.array(list(product((0.0, 60.0, 900.0, -900.0), repeat=ngroups - 1))).T
    other = every[:, np.random.default_rng(1).permutation(every.shape[1])]
    assert ((same_flags(stepped(np.stack([every, other]))) & flags.JUMP_DET) != 0).sum() > every.shape[1]


def test_two_jumps_in_a_long_ramp():
    first, second = np.divmod(np.arange(169), 13)
    steps = np.zeros((1, 13, 169))
    steps[0, first, np.arange(169)] += 500
    steps[0, second, np.arange(169)] -= 70
    assert ((same_flags(stepped(steps)) & flags.JUMP_DET) != 0).sum() > 300


def test_a_jump_beside_every_history_of_flags():
    every = np.array(list(product((0, flags.DO_NOT_USE, flags.SATURATED, flags.JUMP_DET), repeat=5)), np.uint8).T
    for place in range(4):
        steps = np.full((1, 4, every.shape[1]), 20.0)
        steps[0, place] = 900
        state = stepped(steps)
        found = same_flags(replace(state, groupdq=every[None, :, None].copy()))
        assert (found[0, place + 1, 0] & flags.JUMP_DET != 0).mean() > 0.3


@pytest.mark.parametrize("ngroups", [5, 14])
def test_jumps_beside_groups_that_are_nan(ngroups):
    where = np.arange(ngroups - 1)
    for lost in (0, 2, ngroups - 1):
        steps = np.full((1, ngroups - 1, ngroups - 1), 20.0)
        steps[0, where, where] = 900
        state = stepped(steps)
        state.data[0, lost] = np.nan
        found = (same_flags(state)[0, 1:, 0] & flags.JUMP_DET) != 0
        usable = (where != lost) & (where + 1 != lost)
        np.testing.assert_array_equal(found, np.diag(usable))
