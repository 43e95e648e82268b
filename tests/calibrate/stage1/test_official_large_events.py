"""Snowballs and showers against the official function."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from official_ramps import call, electronics, jump_data, shower_ramps, snowball_ramps, with_snowballs
from uptheramp.calibrate import flags
from uptheramp.calibrate.stage1.jump import JumpParams, JumpRefs, jump

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")


def both(state, params):
    """Group flags by us, by the official function and by it without large events, and how many of these there were."""
    from stcal.jump.jump import detect_jumps_data

    plain = replace(params, expand_large_events=False, find_showers=False)
    with np.errstate(all="ignore"):
        theirs, theirs_2d, _, events = detect_jumps_data(jump_data(state, params))
        without, *_ = detect_jumps_data(jump_data(state, plain))
    traced = jax.tree.map(np.asarray, params)  # one program for all values
    ours, _ = call(jump, state, JumpRefs(*electronics(state.pixeldq.shape), None), traced)
    np.testing.assert_array_equal(ours.pixeldq, theirs_2d)
    return np.asarray(ours.groupdq), theirs, without, events


SNOWBALL_CASES = {
    "official": {},
    "wide edge": {"edge_size": 10},
    "no core needed": {"sat_required_snowball": False},
    "larger": {"expand_factor": 7.0, "sat_expand": 5, "min_sat_radius_extend": 1.0},
    "bounded": {"expand_factor": 30.0, "sat_expand": 12, "max_extended_radius": 7},
    "only large ones": {"min_sat_area": 40.0, "min_jump_area": 120.0, "edge_size": 0},
    "nothing carried over": {"mask_snowball_core_next_int": False},
    "carried over for three groups": {"snowball_time_masked_next_int": 8},
    "carried over for one group": {"snowball_time_masked_next_int": 2},
}


@pytest.mark.parametrize("case", SNOWBALL_CASES)
def test_snowballs(case):
    settings = {"edge_size": 6, **SNOWBALL_CASES[case]}
    for seed in (1, 2):
        state = snowball_ramps(seed)
        ours, theirs, without, events = both(state, JumpParams(expand_large_events=True, **settings))
        assert events > 2
        assert (without != theirs).sum() > 300
        np.testing.assert_array_equal(ours, theirs)


def test_snowballs_of_windows_that_are_no_squares():
    state = snowball_ramps(3, shape=(20, 90), events=[(0, 3, 9.0, 60.0, 2.0, 5.0)])
    ours, theirs, without, _ = both(state, JumpParams(expand_large_events=True, edge_size=12))
    assert (without != theirs).any()
    np.testing.assert_array_equal(ours, theirs)


SHOWER_CASES = {
    "official": (3, 9, {}),
    "small": (3, 9, {"extend_min_area": 30, "extend_snr_threshold": 1.6, "extend_ellipse_expand_ratio": 1.8}),
    "wide ring": (3, 9, {"extend_inner_radius": 2.0, "extend_outer_radius": 4.5}),
    "long and strong": (3, 9, {"time_masked_after_shower": 3.0, "max_shower_amplitude": 100.0}),
    "weak": (3, 9, {"max_shower_amplitude": 1.0}),
    "bounded": (3, 9, {"extend_ellipse_expand_ratio": 3.0, "max_extended_radius": 11, "max_shower_amplitude": 50.0}),
    "too few differences": (2, 6, {}),
    "sigma clip": (12, 6, {"minimum_sigclip_groups": 12, "max_shower_amplitude": 50.0}),
}


@pytest.mark.parametrize("case", SHOWER_CASES)
def test_showers(case):
    nints, ngroups, settings = SHOWER_CASES[case]
    for seed in (1, 2):
        state = shower_ramps(seed, nints, ngroups)
        ours, theirs, without, events = both(state, JumpParams(find_showers=True, **settings))
        assert events > 0 or case == "too few differences"
        added = ((theirs ^ without) & flags.JUMP_DET) != 0
        assert added.sum() > 100 or case in ("too few differences", "weak")
        np.testing.assert_array_equal(ours, theirs)


def test_both_at_once():
    state = with_snowballs(shower_ramps(5), seed=5)
    ours, theirs, _, events = both(state, JumpParams(expand_large_events=True, find_showers=True, edge_size=6))
    assert events > 0
    np.testing.assert_array_equal(ours, theirs)
