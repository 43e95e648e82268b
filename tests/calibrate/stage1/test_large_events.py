"""Snowballs and showers against the official functions, and through the compiled step."""

from dataclasses import replace

import equinox as eqx
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.stage1.jump import JumpParams, JumpRefs, jump, no_cores
from uptheramp.calibrate.stage1.large_events import Showers, Snowballs, flag_showers, flag_snowballs, regions

SNOWBALLS = Snowballs(5.0, 1.0, 2.0, True, 2.5, 2, 4, True, 3, 200)
SHOWERS = Showers(1.2, 60, 1.0, 2.6, 1.1, 2, 60.0, 200, 100)
SHAPE = (64, 72)


def disc(y, x, ry, rx=None, turn=0.0):
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    dy, dx = rows - y, columns - x
    along, across = dy * np.cos(turn) + dx * np.sin(turn), dy * np.sin(turn) - dx * np.cos(turn)
    return (along / ry) ** 2 + (across / (rx or ry)) ** 2 <= 1


def snowy():
    """Flags of three integrations with snowballs of every kind."""
    dq = np.zeros((3, 5, *SHAPE), np.uint8)

    def strike(integration, group, jump, core, later=0):
        dq[integration, group][jump & ~core] |= flags.JUMP_DET
        dq[integration, group + later :, core] |= flags.SATURATED

    strike(0, 2, disc(30, 30, 8), disc(30, 31, 4))  # a large core
    strike(0, 3, disc(45, 50, 9, 4, 0.6), disc(45, 50, 1.5))  # oblong, its core too small to grow
    strike(1, 1, disc(20, 40, 6), disc(20, 40, 3), later=1)  # saturated a group later
    dq[1, 3][disc(50, 20, 5)] |= flags.JUMP_DET  # without a core
    dq[2, 2][disc(1, 35, 5)] |= flags.JUMP_DET  # at an edge
    dq[2, 3][disc(33, 33, 1)] |= flags.JUMP_DET  # a line of hits is no snowball
    dq[2, 3, 10, 10:14] |= flags.JUMP_DET
    dq[0, 4, 5, 5] |= flags.DO_NOT_USE
    return dq


def showery(nints=3):
    """Charges (e-) with showers of several sizes, flags, and the variance of a difference."""
    rng = np.random.default_rng(4)
    variance = np.full(SHAPE, 200.0)
    data = np.cumsum(rng.normal(50, 10, (nints, 8, *SHAPE)), axis=1)
    data[0, 3:] += 60 * disc(30, 30, 9, 7, 0.4)
    data[1, 5:] += 40 * disc(50, 60, 11, 8, 0.3)  # of no symmetry, which would make ties
    data[2, 2:] += 60 * disc(10, 10, 3)  # too small
    data[1, 2:] += 3000 * disc(20, 55, 8, 6, 0.2)  # too bright to be one
    dq = np.zeros(data.shape, np.uint8)
    dq[0, 3, 28:30, 30] |= flags.JUMP_DET
    dq[0, 4:, 30, 33] |= flags.SATURATED
    dq[:, 0] |= flags.DO_NOT_USE
    pixeldq = np.zeros(SHAPE, np.uint32)
    pixeldq[5, :] |= flags.DO_NOT_USE
    pixeldq[:, :4] = flags.REFERENCE_PIXEL
    return data.astype(np.float32), dq, pixeldq, variance.astype(np.float32)


def official(**settings):
    jump_class = pytest.importorskip("stcal.jump.jump_class")
    dq = {
        "DO_NOT_USE": 1,
        "SATURATED": 2,
        "JUMP_DET": 4,
        "NO_GAIN_VALUE": 1 << 19,
        "GOOD": 0,
        "REFERENCE_PIXEL": 1 << 31,
    }
    data = jump_class.JumpData(dqflags=dq)
    for name, value in settings.items():
        assert hasattr(data, name), name
        setattr(data, name, value)
    return data


@pytest.mark.peer
@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("next_int", [True, False])
def test_snowballs_are_the_official_ones(required, next_int):
    chosen = SNOWBALLS._replace(sat_required_snowball=required, mask_snowball_core_next_int=next_int)
    settings = official(
        min_jump_area=chosen.min_jump_area,
        min_sat_area=chosen.min_sat_area,
        expand_factor=chosen.expand_factor,
        sat_required_snowball=required,
        min_sat_radius_extend=chosen.min_sat_radius_extend,
        sat_expand=2 * chosen.sat_expand,
        edge_size=chosen.edge_size,
        mask_persist_grps_next_int=next_int,
        persist_grps_flagged=chosen.groups_masked_next_int,
        max_extended_width=2 * chosen.max_extended_radius,
    )
    from stcal.jump.jump import flag_large_events

    expected, number = flag_large_events(snowy(), flags.JUMP_DET, flags.SATURATED, settings)
    found, _ = flag_snowballs(snowy(), np.zeros(SHAPE, bool), chosen)
    assert number >= 4
    assert (expected != snowy()).sum() > 300
    np.testing.assert_array_equal(found, expected)


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore:Input data contains invalid values")
@pytest.mark.parametrize("sigclip", [100, 3])
def test_showers_are_the_official_ones(sigclip):
    chosen = SHOWERS._replace(minimum_sigclip_groups=sigclip)
    data, dq, pixeldq, variance = showery(3 if sigclip == 100 else 12)
    settings = official(
        extend_snr_threshold=chosen.extend_snr_threshold,
        extend_min_area=chosen.extend_min_area,
        extend_inner_radius=chosen.extend_inner_radius,
        extend_outer_radius=chosen.extend_outer_radius,
        extend_ellipse_expand_ratio=chosen.extend_ellipse_expand_ratio,
        grps_masked_after_shower=chosen.groups_masked,
        max_shower_amplitude=chosen.max_amplitude,
        max_extended_width=2 * chosen.max_extended_radius,
        minimum_sigclip_groups=sigclip,
        nframes=1,
    )
    from stcal.jump.jump import find_faint_extended

    expected, number = find_faint_extended(data.copy(), dq.copy(), pixeldq.copy(), np.sqrt(variance), settings)
    found = flag_showers(data, dq, pixeldq, variance, chosen)
    assert number >= 2
    assert (expected != dq).sum() > 1000
    np.testing.assert_array_equal(found, expected)


def test_ellipse_of_a_region_is_the_one_drawn():
    drawn = disc(30, 40, 14, 6, 0.5)
    (found,) = regions(drawn, 5)
    assert abs(found.y - 30) < 0.1
    assert abs(found.x - 40) < 0.1
    assert abs(found.major + 1 - 28) < 0.5
    assert abs(found.minor + 1 - 12) < 0.5
    assert abs(found.angle - 0.5) < 0.02
    again = found.drawn(SHAPE, 6, 14)
    assert (again ^ drawn).sum() < 0.1 * drawn.sum()


def test_cores_reach_the_next_chunk():
    dq = snowy()
    whole, last = flag_snowballs(dq, np.zeros(SHAPE, bool), SNOWBALLS)
    cores, parts = np.zeros(SHAPE, bool), []
    for integration in range(3):
        part, cores = flag_snowballs(dq[integration : integration + 1], cores, SNOWBALLS)
        parts.append(part)
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(cores, last)
    assert (whole[1, 1] & flags.JUMP_DET)[30, 31]


def test_through_the_compiled_step(exposure):
    case = exposure(nints=3, ngroups=5, correction="none")
    dq = snowy()[:, :, 24:36, 20:52]
    ramps = eqx.tree_at(lambda r: (r.data, r.groupdq), case.ramps, (case.ramps.data.astype(np.float32), dq))
    ramps = replace(ramps, memory={"jump": no_cores(ramps)})
    refs = JumpRefs(case.library["gain"], case.library["readnoise"], None)
    params = JumpParams(expand_large_events=True, find_showers=True, edge_size=2, snowball_time_masked_next_int=1.5)
    out, _ = eqx.filter_jit(lambda r: jump(r, refs, params))(ramps)
    plain, _ = eqx.filter_jit(lambda r: jump(r, refs, JumpParams()))(ramps)
    chosen = SNOWBALLS._replace(edge_size=2)
    expected, _ = flag_snowballs(np.asarray(plain.groupdq), np.zeros(dq.shape[-2:], bool), chosen)
    assert (expected != np.asarray(plain.groupdq)).any()
    differs = np.asarray(out.groupdq) != expected
    assert differs.mean() < 1e-2  # showers add little here
    assert out.memory["jump"].shape == dq.shape[-2:]
