"""Hits are found, noise and transits are not, whichever expectation the test uses."""

import equinox as eqx
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.stage1.jump import JumpParams, JumpRefs, jump, learn_differences

compiled = eqx.filter_jit(lambda state, refs, params: jump(state, refs, params))


def prepared(exposure, expectation, depth=0.0, hits=(), **options):
    """Ramps of 40 integrations, the later half darker by `depth`, with charges added from a group on."""
    case = exposure(nints=40, ngroups=6, correction="none", seed=11, **options)
    data = case.ramps.data.astype(np.float32)
    data[0, 4:, 8, 20] = data[0, 3, 8, 20]  # take out what the fixture puts in
    data[0, 1, 9, 9] = data[0, 2, 9, 9]
    data[1, 3:, 7, 10] -= 5000
    start = data[:, :1].copy()
    data[20:] = start[20:] + (data - start)[20:] * (1 - depth)
    for i, g, y, x, charge in hits:
        data[i, g:, y, x] += charge
    state = eqx.tree_at(lambda s: s.data, case.ramps, data)
    refs, params = JumpRefs(case.library["gain"], case.library["readnoise"], None), JumpParams(expectation=expectation)
    template = learn_differences(state, refs, params)
    return state, eqx.tree_at(lambda r: r.difference_template, refs, template, is_leaf=lambda x: x is None), params


@pytest.mark.parametrize("expectation", ["exposure", "template", "series"])
def test_hits_and_neighbours_of_large_ones(exposure, expectation):
    hits = [(3, 2, 5, 6, 100.0), (9, 4, 6, 25, 900.0), (9, 2, 6, 25, 700.0)]  # sigma is some 12 DN
    state, refs, params = prepared(exposure, expectation, hits=hits)
    out, _ = compiled(state, refs, params)
    flagged = (np.asarray(out.groupdq) & flags.JUMP_DET) != 0
    for i, g, y, x, charge in hits:
        assert flagged[i, g, y, x]
        beside = [flagged[i, g, y + dy, x + dx] for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))]
        assert all(beside) == any(beside) == (charge > 600)
    assert flagged.sum() - 3 - 8 < 30  # of 77 000 differences
    np.testing.assert_array_equal(out.data, state.data)


@pytest.mark.parametrize("expectation", ["template", "series"])
def test_a_transit_is_no_hit(exposure, expectation):
    deep = {"depth": 0.04, "rate_dn": 12000.0}  # four standard deviations of a bright pixel's difference
    state, refs, params = prepared(exposure, expectation, **deep)
    out, info = compiled(state, refs, params)
    assert int(info.primary) < 3e-4 * int(info.tested)
    pooled, info = compiled(state, eqx.tree_at(lambda r: r.difference_template, refs, None), JumpParams())
    assert int(info.primary) > 3e-4 * int(info.tested)  # the official expectation does take it for hits


def test_flagged_groups_stay_out(exposure):
    state, refs, params = prepared(exposure, "exposure", hits=[(2, 3, 4, 4, 5000.0)])
    dq = np.zeros(state.groupdq.shape, np.uint8)
    dq[2, 3:, 4, 4] = flags.SATURATED
    out, _ = compiled(eqx.tree_at(lambda s: s.groupdq, state, dq), refs, params)
    assert (np.asarray(out.groupdq)[2, 3:, 4, 4] == flags.SATURATED).all()


def test_pixels_without_gain_are_marked(exposure):
    state, refs, params = prepared(exposure, "exposure")
    gain = np.array(refs.gain.data)
    gain[2, 3] = 0
    out, _ = compiled(state, eqx.tree_at(lambda r: r.gain.data, refs, gain), params)
    assert int(out.pixeldq[2, 3]) == flags.NO_GAIN_VALUE | flags.DO_NOT_USE
    assert not (np.asarray(out.groupdq)[:, :, 2, 3] & flags.JUMP_DET).any()
    assert int(out.pixeldq[3, 3]) == 0
