"""Steps against the official functions, called on the same small arrays, awkward cases included."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import equinox as eqx
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.references.emicorr import Emicorr, Wave
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.calibrate.references.pictureframe import PictureFrame
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.references.rscd import Rscd
from uptheramp.calibrate.references.saturation import Saturation
from uptheramp.calibrate.references.superbias import Superbias
from uptheramp.calibrate.stage1.charge_migration import ChargeMigrationParams, charge_migration
from uptheramp.calibrate.stage1.clean_flicker_noise import (
    CleanFlickerNoiseParams,
    CleanFlickerNoiseRefs,
    clean_flicker_noise,
    learn_scene,
)
from uptheramp.calibrate.stage1.emicorr import EmicorrParams, EmicorrRefs, _Clock, emicorr, learn_emi
from uptheramp.calibrate.stage1.firstframe import FirstframeParams, firstframe
from uptheramp.calibrate.stage1.jump import JumpParams, JumpRefs, jump
from uptheramp.calibrate.stage1.lastframe import lastframe
from uptheramp.calibrate.stage1.linearity import LinearityRefs, linearity
from uptheramp.calibrate.stage1.persistence import PersistenceParams, nothing_yet, persistence
from uptheramp.calibrate.stage1.picture_frame import (
    PictureFrameParams,
    PictureFrameRefs,
    PictureMask,
    picture_frame,
)
from uptheramp.calibrate.stage1.ramp_fit import RampFitParams, RampFitRefs, ramp_fit
from uptheramp.calibrate.stage1.refpix import RefpixParams, RefpixRefs, refpix
from uptheramp.calibrate.stage1.rscd import RscdRefs, rscd
from uptheramp.calibrate.stage1.saturation import SaturationParams, SaturationRefs, saturation
from uptheramp.calibrate.state import Ramps

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")

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


@pytest.mark.parametrize("ngroups", [2, 3, 6])
def test_charge_migration(ngroups):
    from jwst.charge_migration import charge_migration as peer

    state = ramps(ngroups=ngroups)
    ours, _ = call(charge_migration, state, None, ChargeMigrationParams(signal_threshold=20000.0))
    theirs = model(state)
    if ngroups > 2:  # the official step leaves shorter ramps alone before it calls the function
        theirs = peer.charge_migration(theirs, 20000.0)
        assert (theirs.groupdq & flags.CHARGELOSS).any()
    same(ours, theirs)


@pytest.mark.parametrize("ngroups", [3, 4, 6])
@pytest.mark.parametrize("bright", [True, False])
def test_first_and_last_frame(ngroups, bright):
    from jwst.firstframe import firstframe_sub
    from jwst.lastframe import lastframe_sub

    state = ramps(ngroups=ngroups)
    state.groupdq[0, 2:, :3] |= flags.SATURATED
    ours, _ = call(firstframe, state, None, FirstframeParams(bright_use_group1=bright))
    same(ours, firstframe_sub.do_correction(model(state), bright_use_group1=bright))
    ours, _ = call(lastframe, state, None, None)
    same(ours, lastframe_sub.do_correction(model(state)))


@pytest.mark.parametrize(("ngroups", "skips"), [(2, (1, 2)), (4, (2, 3)), (6, (1, 4)), (9, (3, 5)), (9, (8, 9))])
def test_rscd(ngroups, skips):
    from jwst.rscd import rscd_sub

    state = ramps(ngroups=ngroups, seed=3)
    for x in range(1, 12):  # pixels that saturate at every group
        state.groupdq[:, min(x, ngroups) :, 8, x] |= flags.SATURATED
    state.groupdq[:, :, 8, 0] |= flags.SATURATED
    ours, _ = call(rscd, state, RscdRefs(Rscd(*skips)), None)
    theirs = model(state)
    theirs.meta.exposure.integration_start, theirs.meta.exposure.nints = 1, 3
    theirs.meta.rscd = SimpleNamespace()
    same(ours, rscd_sub.correction_skip_groups(theirs, *skips))


@pytest.mark.parametrize(("threshold", "dnu"), [(None, True), (30000.0, False)])
def test_persistence(threshold, dnu):
    from jwst.persistence import persistence as peer

    state = ramps(nints=5, ngroups=5)
    state.groupdq[0, 3:, 2:4] |= flags.SATURATED
    state.groupdq[2, 1:, 3:5] |= flags.SATURATED
    settings = {"persistence_time": 33.0, "dn_threshold": threshold, "persistence_dnu": dnu}
    ours, _ = call(persistence, state, None, PersistenceParams(**settings))
    work = peer.DataSet(model(state), None, persistence_array=np.zeros(state.pixeldq.shape), **settings)
    theirs, _ = work.do_all()
    assert (theirs.groupdq & flags.PERSISTENCE).any()
    same(ours, theirs)


def test_persistence_runs_on_through_chunks():
    state = ramps(nints=6, ngroups=5)
    state.groupdq[0, 3:, 2:4] |= flags.SATURATED
    params = PersistenceParams(persistence_time=41.0)
    whole, _ = call(persistence, state, None, params)
    memory, parts = {"persistence": nothing_yet(state)}, []
    for i in range(0, 6, 2):
        cut = slice(i, i + 2)
        where = lambda s: (s.data, s.groupdq, s.integration, s.start_s, s.memory)  # noqa: E731
        new = state.data[cut], state.groupdq[cut], state.integration[cut], state.start_s[cut], memory
        part, _ = call(persistence, eqx.tree_at(where, state, new), None, params)
        memory = part.memory
        parts.append(part.groupdq)
    np.testing.assert_array_equal(np.concatenate(parts), whole.groupdq)


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


def test_linearity_of_ramps_and_zeroframe():
    from stcal.linearity.linearity import linearity_correction
    from stdatamodels.jwst.datamodels import dqflags

    state = ramps(nframes=4, zeroframe=True)
    state.zeroframe[0, 2, 2] = 0
    state.groupdq[:, 3:, 1] |= flags.SATURATED
    coeffs = np.zeros((4, *state.pixeldq.shape), np.float32)
    coeffs[1], coeffs[2], coeffs[3] = 1.01, 2e-6, 3e-12
    theirs = linearity_correction(
        state.data.copy(),
        state.groupdq,
        state.pixeldq,
        coeffs.copy(),
        state.pixeldq,
        dqflags.pixel,
        zframe=state.zeroframe.copy(),
    )
    ours, _ = call(linearity, state, LinearityRefs(Linearity(coeffs, state.pixeldq)), None)
    np.testing.assert_allclose(ours.data, theirs[0], rtol=3e-7)
    np.testing.assert_allclose(ours.zeroframe, theirs[2], rtol=3e-7)
    assert float(ours.zeroframe[0, 2, 2]) == 0


def official_fit(state, algorithm="OLS_C", suppress=True, rejection=None):
    """Slopes, variances and flags of the official ramp fit."""
    from stcal.ramp_fitting import ramp_fit as peer
    from stcal.ramp_fitting.ramp_fit_class import RampData
    from stdatamodels.jwst.datamodels import dqflags

    work, m = RampData(), model(state)
    dark = np.zeros(state.pixeldq.shape, np.float32)
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
    gain = np.full(dark.shape, GAIN, np.float32)
    with np.errstate(all="ignore"):
        _, found, _ = peer.ramp_fit_data(work, False, read, gain, algorithm, "optimal", "none")
    return found, work.groupdq


def our_fit(state, params):
    return call(ramp_fit, state, RampFitRefs(*electronics(state.pixeldq.shape), None, None), params)


@pytest.mark.parametrize("suppress", [True, False])
@pytest.mark.parametrize("nframes", [1, 4])
@pytest.mark.parametrize("ngroups", [1, 2, 5])
def test_ols_of_short_and_lost_ramps(suppress, nframes, ngroups):
    state = ramps(ngroups=ngroups, nframes=nframes, zeroframe=nframes > 1, seed=8)
    state.data[:] = np.minimum(state.data, 50000) - 900
    state.groupdq[:] = 0
    late = np.arange(ngroups)[:, None, None]
    for x in range(12):  # saturated from group x on, from the start at x = 0
        state.groupdq[0, min(x, ngroups) :, 2, x] = flags.SATURATED
        state.groupdq[1, late[:, 0, 0] != x, 3, x] = flags.DO_NOT_USE  # one good group
    state.groupdq[0, :, 4] = flags.DO_NOT_USE
    state.groupdq[1, min(2, ngroups - 1) :, 5] = flags.CHARGELOSS | flags.DO_NOT_USE
    if state.zeroframe is not None:
        state.zeroframe[:] = np.maximum(state.zeroframe - 900, 0)
        state.zeroframe[:, :, ::3] = 0
    theirs, _ = official_fit(state, suppress=suppress and ngroups > 1)  # as its caller has it
    ours, _ = our_fit(state, RampFitParams(suppress_one_group=suppress))
    bad = (theirs["dq"] & flags.DO_NOT_USE) != 0
    np.testing.assert_array_equal(np.asarray(ours.dq), theirs["dq"])
    np.testing.assert_allclose(np.where(bad, 0, ours.data), np.where(bad, 0, theirs["slope"]), rtol=2e-5, atol=1e-4)
    if ngroups == 1:  # the official median rate of one group takes in what is flagged
        bad = bad | (state.groupdq != 0).any((0, 1))
    for name in ("var_rnoise", "var_poisson"):
        values = np.where(bad, 0, getattr(ours, name)), np.where(bad, 0, theirs[name])
        np.testing.assert_allclose(*values, rtol=2e-5, atol=1e-7, err_msg=name)


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
    return work


def hit_ramps(nints, ngroups, seed, brightness=400.0):
    """Ramps with Poisson noise and hits of all sizes, and groups lost to saturation or flagged before."""
    rng = np.random.default_rng(seed)
    state = ramps(nints=nints, ngroups=ngroups, shape=(8, 9))
    rate = brightness * rng.random((8, 9)) ** 2
    light = rng.poisson(rate * GAIN, (nints, ngroups, 8, 9)).cumsum(1) / GAIN
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


@pytest.mark.parametrize(
    ("ngroups", "nframes", "gap", "zeroframe"),
    [(4, 1, 0, False), (5, 1, 3, False), (12, 1, 0, False), (4, 4, 1, True), (5, 4, 1, False), (12, 4, 1, True)],
)
def test_likelihood_fit_and_its_jumps(nframes, gap, zeroframe, ngroups):
    state = ramps(nints=4, ngroups=ngroups, nframes=nframes, gap=gap, seed=ngroups, zeroframe=zeroframe, top=20000.0)
    rng = np.random.default_rng(4)
    for _ in range(30):
        i, g, y, x = (rng.integers(n) for n in state.data.shape)
        state.data[i, g:, y, x] += 10 ** rng.uniform(1, 3.5)
    state.groupdq[:] = 0
    state.groupdq[0, ngroups // 2 :, 2] = flags.SATURATED
    state.groupdq[1, 2, 3] = flags.JUMP_DET
    state.groupdq[1, 0, 4] = flags.DO_NOT_USE
    state.groupdq[2, 1:, 5] = flags.SATURATED
    # at the end of the converter differences are exactly 0, where the official search ends in 0 / 0 and finds nothing
    state.groupdq[0, :, 7, 7] = flags.DO_NOT_USE
    if zeroframe:
        state.zeroframe[:] = np.maximum(state.zeroframe, 1)
    bad = state.groupdq != 0
    theirs, _ = official_fit(state, "LIKELY")
    ours, info = our_fit(state, RampFitParams(algorithm="LIKELY"))
    rated = np.isfinite(theirs["slope"])
    np.testing.assert_array_equal(np.isfinite(ours.data), rated)
    # where both covariances are those of read noise alone the official search may end in 0 / 0 and miss a jump
    missed = (np.asarray(ours.dq) == theirs["dq"] | flags.JUMP_DET) & (theirs["dq"] & flags.JUMP_DET == 0)
    assert missed.mean() < 0.004
    # of two differences that disagree either may be the jump
    tied = (~bad[:, 1:] & ~bad[:, :-1]).sum(1) <= 2
    rated = rated & ~missed & ~tied
    np.testing.assert_array_equal(np.asarray(ours.dq)[rated], theirs["dq"][rated])
    assert ((theirs["dq"] & flags.JUMP_DET) != 0).sum() > 20
    within = np.abs(np.asarray(ours.data) - theirs["slope"]) <= 1e-5 * np.abs(theirs["slope"]) + 1e-3 * theirs["err"]
    assert within[rated].all()
    for name in ("var_poisson", "var_rnoise"):
        a, b = np.asarray(getattr(ours, name))[rated], theirs[name][rated]
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6 * b.max(), err_msg=name)
    np.testing.assert_allclose(np.asarray(info.chi_square)[rated], theirs["chisq"][rated], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(("separately", "ngroups"), [(False, 4), (True, 11)])
def test_emicorr(separately, ngroups):
    from jwst.emicorr.emicorr import emicorr_refwave

    state = ramps(nints=3, ngroups=ngroups, shape=(24, 32), top=400.0)
    state.data[:, :, 5, 5] *= 3  # unsteady
    state.pixeldq[6, 6] = flags.DO_NOT_USE
    state.data[0, -1, 5, 5] = 900
    phases = (np.arange(120) + 0.5) / 120
    waveform = np.sin(2 * np.pi * phases) + 0.3 * np.cos(6 * np.pi * phases)
    reference = Emicorr((Wave(np.float64(256.0), waveform), Wave(np.float64(9961.4), waveform)), 28, 15904, 1)
    for scale, wave in zip((40.0, 25.0), reference.waves, strict=True):
        state.data[:] += _Clock(state, reference, wave).signal(np.full(1, 0.313), np.full(1, scale), np.arange(3))
    theirs = state.data.copy()
    for wave in reference.waves:
        theirs = emicorr_refwave(
            theirs, state.pixeldq, waveform, 1, 28, 15904, float(wave.period_clocks), fit_ints_separately=separately
        )
    params = EmicorrParams(fit_ints_separately=separately)
    refs = EmicorrRefs(reference, None)
    refs = EmicorrRefs(reference, learn_emi(state, refs, params))
    ours, _ = call(emicorr, state, refs, params)
    assert np.std(theirs - state.data) > 20
    np.testing.assert_allclose(ours.data, theirs, atol=0.02)


@pytest.mark.parametrize(("slow_axis", "method"), [(1, "median"), (2, "median"), (1, "none")])
def test_clean_flicker_noise(slow_axis, method):
    from jwst.clean_flicker_noise import clean_flicker_noise as peer

    state = ramps(nints=2, ngroups=5, shape=(40, 48), top=0.0, seed=4)
    rng = np.random.default_rng(6)
    shape = (2, 5, 40, 1) if slow_axis == 2 else (2, 5, 1, 48)
    light = np.exp(-0.5 * ((np.arange(40)[:, None] - 20) / 3.0) ** 2) * np.ones(48) * 300 + 15
    state.data[:] += rng.normal(0, 30, shape) + light * np.arange(1, 6)[:, None, None]
    state.data[1, 3:, 5, 5] += 5000
    state.groupdq[:] = 0
    state.groupdq[1, 3, 5, 5] = flags.JUMP_DET
    state.groupdq[0, 2, 30:] = flags.DO_NOT_USE
    state.groupdq[0, 4] = flags.DO_NOT_USE  # nothing left to clean
    state = replace(state, readout=replace(state.readout, slow_axis=slow_axis))
    refs = CleanFlickerNoiseRefs(*electronics((40, 48)), None, None)
    params = CleanFlickerNoiseParams(background_method=method)
    draft, _ = official_fit(state)
    weight = np.where(np.isfinite(draft["slope"]), 1 / draft["var_rnoise"], 0)
    rate = (np.nan_to_num(draft["slope"]) * weight).sum(0) / weight.sum(0)
    exposure = SimpleNamespace(exposure=SimpleNamespace(type="NRC_TSGRISM"))
    mask = peer.create_mask(
        SimpleNamespace(data=rate, dq=np.zeros((40, 48), np.uint32), meta=exposure), single_mask=True
    )
    scene = learn_scene(state, refs, params)
    np.testing.assert_array_equal(scene.dark, mask)
    theirs = state.data.copy()
    for i in range(2):
        for j in range(4):
            usable = mask.copy()
            peer._mask_unusable(usable, state.groupdq[i, j + 1])
            image = state.data[i, j + 1] - state.data[i, j]
            settings = method, None, 2.0, "median", "ANY", None, slow_axis, False, None
            cleaned, _, _ = peer._clean_one_image(image, usable, *settings)
            if cleaned is not None:
                theirs[i, j + 1] = theirs[i, j] + cleaned
    ours, _ = call(
        clean_flicker_noise,
        state,
        eqx.tree_at(lambda r: r.flicker_scene, refs, scene, is_leaf=lambda x: x is None),
        params,
    )
    assert np.std(theirs - state.data) > 10
    np.testing.assert_allclose(ours.data, theirs, atol=0.01)


def test_clean_flicker_noise_by_the_median_image_keeps_a_transit():
    state = ramps(nints=12, ngroups=4, shape=(40, 48), top=0.0, seed=4)
    rng = np.random.default_rng(6)
    light = np.exp(-0.5 * ((np.arange(40)[:, None] - 20) / 3.0) ** 2) * np.ones(48) * 3000 + 15
    curve = np.where(np.arange(12) < 6, 1.0, 0.97)[:, None, None, None]
    truth = 900 + curve * light * np.arange(1, 5)[:, None, None]
    stripes = rng.normal(0, 30, (12, 4, 1, 48))
    state.data[:] = truth + stripes + rng.normal(0, READ_DN, truth.shape)
    state.groupdq[:] = 0
    state = replace(state, readout=replace(state.readout, slow_axis=1))
    refs = CleanFlickerNoiseRefs(*electronics((40, 48)), None, None)
    params = CleanFlickerNoiseParams(background_method="median_image")
    ours, _ = call(clean_flicker_noise, state, refs, params)
    left = np.diff(np.asarray(ours.data) - truth, axis=1)[..., :10, :].mean(-2)  # away from the trace
    # the median of twelve integrations holds some of the noise, and that stays
    assert left.std() < 1.15 * np.diff(stripes, axis=1).std() * (np.pi / 2 / 12) ** 0.5 + READ_DN
    bright = (np.asarray(ours.data)[:, -1] - np.asarray(ours.data)[:, 0])[:, 18:23].sum((1, 2))
    depth = 1 - bright[6:].mean() / bright[:6].mean()
    assert abs(depth - 0.03) < 3e-4


def test_picture_frame():
    from jwst.picture_frame.picture_frame import _region_masks

    rng = np.random.default_rng(5)
    full = (2048, 2048)
    y = np.linspace(-1, 1, 2048)
    pattern = (0.02 * np.maximum(np.abs(y[:, None]), np.abs(y)) ** 4).astype(np.float32)
    mask = np.ones(full, bool)
    mask[:, 300:420] = False
    steps = np.array([0, 900], np.float32)[:, None, None]
    data = 5 * rng.standard_normal((1, 2, *full), np.float32) + pattern * steps
    state = replace(ramps(nints=1, ngroups=2), data=data, groupdq=np.zeros(data.shape, np.uint8))
    ones = np.ones(full, np.float32)
    refs = PictureFrameRefs(Gain(ones, np.float32(1)), ReadNoise(ones), None, PictureFrame(pattern), PictureMask(mask))
    ours, _ = call(picture_frame, state, refs, PictureFrameParams())
    middle, edge = _region_masks(mask)
    centre, below = np.median(pattern[middle]), np.median(pattern[edge])
    image = data[0, 1] - data[0, 0]
    levels = np.median(image[middle]), np.median(image[edge])
    found = (levels[0] - levels[1]) / (centre - below) * (pattern - below) + levels[1]
    np.testing.assert_allclose(ours.data[0, 1], data[0, 1] - found, atol=2e-3)
    np.testing.assert_array_equal(ours.data[0, 0], data[0, 0])


@pytest.mark.parametrize("by_row", [True, False])
def test_reference_pixels_of_a_full_miri_frame(by_row):
    from jwst.refpix.reference_pixels import MIRIDataset
    from stdatamodels.jwst.datamodels import RampModel

    rng = np.random.default_rng(9)
    data = 9000 + 12 * rng.standard_normal((1, 3, 1024, 1032), np.float32)
    data += np.tile(40 * rng.standard_normal((1, 3, 2, 4), np.float32), (1, 1, 512, 258))
    data[:, :, 77, :3] += 900  # outliers
    pixeldq = np.zeros((1024, 1032), np.uint32)
    pixeldq[100:140, :4] = flags.DO_NOT_USE
    readout = Readout(3, 1, 0, 1, 1, 2, 4, (4, 4), (0, 0), "interleaved", 0)
    state = replace(
        ramps(nints=1, ngroups=3), data=data, groupdq=np.zeros(data.shape, np.uint8), pixeldq=pixeldq, readout=readout
    )
    official = RampModel(data=data.copy(), pixeldq=pixeldq.copy(), groupdq=np.zeros(data.shape, np.uint8))
    m = official.meta
    m.instrument.name, m.instrument.detector, m.exposure.readpatt = "MIRI", "MIRIMAGE", "FASTR1"
    m.subarray.name, m.subarray.xstart, m.subarray.ystart, m.subarray.xsize, m.subarray.ysize = "FULL", 1, 1, 1032, 1024
    work = MIRIDataset(
        official,
        by_row,
        {"refpix_algorithm": "median", "sirs_kernel_model": None, "sigreject": 4.0, "gaussmooth": 1.0, "halfwidth": 30},
        3.0,
    )
    work.do_fullframe_corrections()
    ours, _ = call(refpix, state, RefpixRefs(None), RefpixParams(odd_even_rows=by_row))
    assert np.std(official.data - data) > 15
    np.testing.assert_allclose(ours.data, official.data, atol=0.01)


def test_reference_pixels_of_the_zeroframe():
    readout = Readout(4, 4, 0, 4, 1, 2, 4, (4, 4), (4, 0), "amplifiers", 0)
    state = replace(ramps(nints=2, ngroups=4, nframes=4, zeroframe=True, shape=(24, 32)), readout=readout)
    state.zeroframe[0, 9, 9] = 0
    first = replace(state, data=state.zeroframe[:, None], zeroframe=None)
    ours, _ = call(refpix, state, RefpixRefs(None), RefpixParams())
    same, _ = call(refpix, first, RefpixRefs(None), RefpixParams())
    expected = np.array(same.data[:, 0])
    expected[0, 9, 9] = 0
    np.testing.assert_allclose(ours.zeroframe, expected, atol=1e-3)
