"""Small awkward ramps, and what the official functions take and give for them."""

from types import SimpleNamespace

import equinox as eqx
import numpy as np

from uptheramp.calibrate import flags
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.stage1.ramp_fit import RampFitRefs, ramp_fit
from uptheramp.calibrate.state import Ramps

FRAME_S, GAIN, READ_DN = 2.0, 1.8, 9.0
call = eqx.filter_jit(lambda step, state, refs, params: step(state, refs, params))


def ramps(nints=3, ngroups=6, nframes=1, gap=0, seed=0, top=60000.0, zeroframe=False, shape=(10, 12)):
    """Ramps from faint to beyond the threshold, with pixels at the floor and some flags set before."""
    rng = np.random.default_rng(seed)
    per = nframes + gap
    frames = np.arange(1, ngroups * per + 1)[:, None, None]
    rate = top * rng.random((nints, 1, *shape)) ** 3 / (0.6 * ngroups * per)
    every = 900 + rate * frames + rng.normal(0, READ_DN, (nints, ngroups * per, *shape))
    every[0, per * 2 :, 2, 3] += 30000  # a hit within a group
    every[0, per + nframes - 1 :, 7, 7] += 70000
    every = np.minimum(every, 65535)
    data = every.reshape(nints, ngroups, per, *shape)[:, :, :nframes].mean(2).astype(np.float32)
    data[0, -1, 5, 5] = 0
    dq = np.zeros(data.shape, np.uint8)
    dq[-1, 0, 4] = flags.DO_NOT_USE
    dq[-1, ngroups // 2, 6, 6] = flags.JUMP_DET
    readout = Readout(ngroups, nframes, gap, nframes, 1, 2, 1, (0, 0), (0, 0), "none", 0)
    first = every[:, 0].astype(np.float32) if zeroframe else None
    if zeroframe:
        first[1, 1, 1] = -3
    starts = np.arange(nints) * (ngroups + 1) * per * FRAME_S
    times = np.float64(FRAME_S), np.float64(FRAME_S * per)
    pixeldq = np.zeros(shape, np.uint32)
    return Ramps(data, dq, pixeldq, np.arange(nints), *times, readout, start_s=starts, zeroframe=first)


def model(state):
    """What the official functions take: the same arrays and the metadata that they ask for."""
    r = state.readout
    exposure = SimpleNamespace(
        start_time=60000.0,
        integration_time=1.0,
        group_time=float(state.group_time_s),
        frame_time=float(state.frame_time_s),
        nframes=r.nframes,
        groupgap=r.groupgap,
        ngroups=r.ngroups,
    )
    starts = [{"int_start_MJD_UTC": 60000.0 + s / 86400} for s in np.asarray(state.starts_s)]
    meta = SimpleNamespace(exposure=exposure, cal_step=SimpleNamespace(), instrument=SimpleNamespace(name="ANY"))
    arrays = {name: np.array(getattr(state, name)) for name in ("data", "groupdq", "pixeldq")}
    return SimpleNamespace(**arrays, meta=meta, int_times=starts)


def electronics(shape):
    """Gain and read noise of all these ramps."""
    gain = Gain(np.full(shape, GAIN, np.float32), np.float32(1))
    return gain, ReadNoise(np.full(shape, READ_DN * 2**0.5, np.float32))


def same(state, official):
    np.testing.assert_array_equal(state.groupdq, official.groupdq)
    np.testing.assert_array_equal(state.pixeldq, official.pixeldq)


def official_fit(state, algorithm="OLS_C", suppress=True, rejection=None, dark_e_per_s=0.0, gain=GAIN):
    """Slopes, variances and flags of the official ramp fit."""
    from stcal.ramp_fitting import ramp_fit as peer
    from stcal.ramp_fitting.ramp_fit_class import RampData
    from stdatamodels.jwst.datamodels import dqflags

    work, m = RampData(), model(state)
    dark = np.full(state.pixeldq.shape, dark_e_per_s, np.float32)
    first = None if state.zeroframe is None else np.array(state.zeroframe)
    original = m.groupdq.copy() if algorithm == "OLS_C" and (m.groupdq & flags.CHARGELOSS).any() else None
    work.set_arrays(m.data, m.groupdq, m.pixeldq, dark, orig_gdq=original, zeroframe=first)
    e = m.meta.exposure
    work.set_meta("NIRCAM", e.frame_time, e.group_time, e.groupgap, e.nframes, 0)
    work.algorithm, work.start_row, work.num_rows = algorithm, 0, m.data.shape[2]
    work.set_dqflags(dqflags.pixel)
    work.suppress_one_group_ramps = suppress
    work.rejection_threshold = rejection
    read = np.full(dark.shape, READ_DN * 2**0.5, np.float32)
    gain = np.full(dark.shape, gain, np.float32)
    with np.errstate(all="ignore"):
        _, found, _ = peer.ramp_fit_data(work, False, read, gain, algorithm, "optimal", "none")
    return found, work.groupdq


def our_fit(state, params):
    return call(ramp_fit, state, RampFitRefs(*electronics(state.pixeldq.shape), None, None), params)


def jump_data(state, params):
    from stcal.jump.jump_class import JumpData
    from stdatamodels.jwst.datamodels import dqflags

    m = model(state)
    shape = state.pixeldq.shape
    read = np.full(shape, READ_DN * 2**0.5, np.float32)
    work = JumpData(m, np.full(shape, GAIN, np.float32), read, dqflags.pixel)
    p = params
    limits = p.rejection_threshold, p.three_group_rejection_threshold, p.four_group_rejection_threshold
    work.set_detection_settings(*limits, p.max_jump_to_flag_neighbors, p.min_jump_to_flag_neighbors, p.flag_4_neighbors)
    after = [int(t // float(state.group_time_s)) for t in (p.after_jump_flag_time1, p.after_jump_flag_time2)]
    work.set_after_jump(p.after_jump_flag_dn1, after[0], p.after_jump_flag_dn2, after[1])
    work.min_diffs_single_pass = p.min_diffs_single_pass
    work.set_sigma_clipping_info(3, p.minimum_sigclip_groups, p.only_use_ints)
    work.max_cores = "none"
    with_large_events(work, p, float(state.group_time_s))
    return work


def with_large_events(work, p, group_s):
    """What the official step makes of its parameters of snowballs and showers."""
    sizes = p.min_jump_area, p.min_sat_area, p.expand_factor
    core = p.sat_required_snowball, p.min_sat_radius_extend, p.sat_expand * 2, p.edge_size
    work.set_snowball_info(p.expand_large_events, *sizes, *core)
    area = p.extend_snr_threshold, p.extend_min_area, p.extend_inner_radius, p.extend_outer_radius
    extent = p.extend_ellipse_expand_ratio, p.min_diffs_single_pass, p.max_extended_radius * 2
    work.set_shower_info(p.find_showers, *area, *extent)
    work.grps_masked_after_shower = int(p.time_masked_after_shower // group_s)
    work.mask_persist_grps_next_int = p.mask_snowball_core_next_int
    work.persist_grps_flagged = int(p.snowball_time_masked_next_int // group_s)
    work.max_shower_amplitude = p.max_shower_amplitude * group_s


def hit_ramps(nints, ngroups, seed, brightness=400.0, shape=(8, 9)):
    """Ramps with Poisson noise and hits of all sizes, and groups lost to saturation or flagged before."""
    rng = np.random.default_rng(seed)
    state = ramps(nints=nints, ngroups=ngroups, shape=shape)
    rate = brightness * rng.random(shape) ** 2
    light = rng.poisson(rate * GAIN, (nints, ngroups, *shape)).cumsum(1) / GAIN
    data = light + rng.normal(0, READ_DN, light.shape)
    for _ in range(nints * ngroups // 2):
        i, g, y, x = (rng.integers(n) for n in data.shape)
        data[i, g:, y, x] += 10 ** rng.uniform(1, 4)
    dq = np.zeros(data.shape, np.uint8)
    dq[0, ngroups // 2 :, 3, 3] = flags.SATURATED
    dq[:, 0, 5, 5] = flags.DO_NOT_USE
    dq[1, 1:2, 6, 2] = flags.DO_NOT_USE
    dq[:, :, 7, 7] = flags.DO_NOT_USE
    return eqx.tree_at(lambda s: (s.data, s.groupdq), state, (data.astype(np.float32), dq))


SNOWBALLS = [  # integration, group, y, x, radius of the core and of the halo
    (0, 3, 30.0, 40.0, 4.0, 8.0),
    (0, 1, 12.3, 61.0, 2.4, 6.0),  # in the first difference, and two that touch
    (0, 5, 45.0, 20.4, 3.0, 7.0),
    (0, 5, 47.0, 33.0, 5.2, 6.5),
    (0, 7, 33.0, 55.0, 3.6, 9.0),  # in the last group
    (1, 2, 31.0, 41.0, 6.0, 9.0),  # on the core of one before
    (1, 4, -2.0, 30.0, 3.0, 9.0),  # beyond an edge
    (1, 6, 36.0, 36.0, 0.0, 7.0),  # without a core
    (2, 3, 63.0, 79.0, 5.0, 12.0),  # in a corner
]


def with_snowballs(state, seed=0, events=SNOWBALLS):
    """Large hits beside what there is: a ragged halo of jumps and a core that saturates, in part one group later."""
    rng = np.random.default_rng(seed)
    data, dq = np.array(state.data), np.array(state.groupdq)
    shape = data.shape[2:]
    y, x = np.indices(shape)
    for i, g, cy, cx, core, halo in events:
        distance = np.hypot(y - cy, 0.9 * (x - cx)) + rng.normal(0, 0.3, shape)
        data[i, g:, distance < halo] += 2500.0
        dq[i, g:, distance < core] |= flags.SATURATED
        dq[i, g + 1 :, distance < 1.2 * core] |= flags.SATURATED
    return eqx.tree_at(lambda s: (s.data, s.groupdq), state, (data, dq))


def snowball_ramps(seed=0, nints=4, ngroups=8, shape=(64, 80), events=SNOWBALLS):
    """Ramps of `hit_ramps` with snowballs."""
    return with_snowballs(hit_ramps(nints, ngroups, seed, shape=shape), seed, events)


def shower_ramps(seed=0, nints=3, ngroups=9, shape=(60, 72), level=40.0):
    """Ramps with wide faint charge, some of it in a ring, besides hits, reference columns and groups without light."""
    rng = np.random.default_rng(seed)
    state = hit_ramps(nints, ngroups, seed, shape=shape, brightness=60.0)
    data, dq, pixeldq = (np.array(a) for a in (state.data, state.groupdq, state.pixeldq))
    y, x = np.indices(shape)
    events = [
        (0, 1, 20, 20, 9, 0),
        (0, 4, 40, 50, 8, 4),
        (0, 4, 15, 55, 14, 0),
        (1, ngroups - 1, 30, 30, 10, 0),
        (1, 3, 58, 40, 12, 0),
        (nints - 1, 5, 30, 68, 12, 3),
    ]
    for i, g, cy, cx, radius, hole in events:
        distance = np.hypot(y - cy, 1.3 * (x - cx))
        data[i, g:] += np.where((distance < radius) & (distance >= hole), level * rng.uniform(0.7, 1.3, shape), 0)
    pixeldq[:, :4] = flags.REFERENCE_PIXEL
    pixeldq[50, 60] = flags.DO_NOT_USE
    dq[-1, 0] = dq[:, -1, 10:12] = flags.DO_NOT_USE
    dq[0, 6:, 38:43, 48:52] = flags.SATURATED
    return eqx.tree_at(lambda s: (s.data, s.groupdq, s.pixeldq), state, (data, dq, pixeldq))
