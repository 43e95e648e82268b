"""ramp_fit against the official fits."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from official_ramps import FRAME_S, GAIN, READ_DN, call, electronics, official_fit, our_fit, ramps
from uptheramp.calibrate import flags
from uptheramp.calibrate.references.dark import Dark
from uptheramp.calibrate.stage1.dark_current import DarkCurrentParams, DarkCurrentRefs, dark_current
from uptheramp.calibrate.stage1.ramp_fit import RampFitParams, RampFitRefs, ramp_fit

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")


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


def every_history(ngroups):
    """All sequences of good, unusable and jump groups, saturated from every group on or never: (group, pixel)."""
    kinds = (0, flags.DO_NOT_USE, flags.JUMP_DET)
    sequences = np.array(list(itertools.product(kinds, repeat=ngroups)), np.uint8)
    late = np.arange(ngroups)
    cut = [sequences | np.where(late >= start, flags.SATURATED, 0).astype(np.uint8) for start in range(ngroups + 1)]
    return np.concatenate(cut).T


def histories(ngroups):
    """Noisy ramps, steeper with every jump, one for each history."""
    groupdq = every_history(ngroups)
    n = groupdq.shape[1]
    rng = np.random.default_rng(ngroups)
    rise = rng.uniform(5, 400, n) * np.arange(1, ngroups + 1)[:, None] + rng.normal(0, READ_DN, (ngroups, n))
    data = (rise + ((groupdq & flags.JUMP_DET) != 0).cumsum(0) * 900).astype(np.float32)
    wide = replace(ramps(nints=1, ngroups=ngroups), pixeldq=np.zeros((1, n), np.uint32), start_s=np.zeros(1))
    return replace(wide, data=data[None, :, None], groupdq=groupdq[None, :, None], integration=np.arange(1))


@pytest.mark.parametrize(("ngroups", "suppress"), [(2, True), (3, False), (4, True), (5, False), (5, True)])
def test_ols_of_every_history_of_flags(ngroups, suppress):
    state = histories(ngroups)
    theirs, _ = official_fit(state, suppress=suppress)
    ours, _ = our_fit(state, RampFitParams(suppress_one_group=suppress))
    good = (theirs["dq"] & flags.DO_NOT_USE) == 0
    # ramps without a segment have slope 0 without error there; here they are NaN and not to be used
    nothing = good & (theirs["slope"] == 0) & (theirs["var_rnoise"] == 0)
    np.testing.assert_array_equal(np.asarray(ours.dq), theirs["dq"] | np.where(nothing, flags.DO_NOT_USE, 0))
    good = good & ~nothing
    assert good.any() and (~good).sum() > ngroups
    assert np.isnan(np.asarray(ours.data)[~good]).all()
    np.testing.assert_allclose(np.asarray(ours.data)[good], theirs["slope"][good], rtol=2e-5, atol=1e-3)
    for name in ("var_rnoise", "var_poisson"):
        values = np.asarray(getattr(ours, name))[good], theirs[name][good]
        np.testing.assert_allclose(*values, rtol=2e-5, atol=1e-7, err_msg=name)


def test_likelihood_fit_of_every_history_of_flags():
    state = histories(5)
    theirs, _ = official_fit(state, "LIKELY")
    ours, _ = our_fit(state, RampFitParams(algorithm="LIKELY"))
    rated = np.isfinite(theirs["slope"])
    np.testing.assert_array_equal(np.isfinite(ours.data), rated)
    assert rated.sum() > 200
    within = np.abs(np.asarray(ours.data) - theirs["slope"]) <= 1e-4 * np.abs(theirs["slope"]) + 1e-3 * theirs["err"]
    assert within[rated].all()


def test_gls_of_every_history_of_flags_has_a_rate_or_a_flag():
    state = histories(5)
    state = replace(state, data=np.broadcast_to(np.float32(20) * np.arange(1, 6)[:, None, None], state.data.shape))
    ours, _ = our_fit(state, RampFitParams(algorithm="GLS", suppress_one_group=False))
    lost = (state.groupdq & (flags.DO_NOT_USE | flags.SATURATED)) != 0
    usable = ~(lost[:, 1:] | lost[:, :-1] | ((state.groupdq[:, 1:] & flags.JUMP_DET) != 0))
    rate, fitted = np.asarray(ours.data), usable.any(1)
    np.testing.assert_array_equal(np.isfinite(rate), fitted)
    np.testing.assert_array_equal((np.asarray(ours.dq) & flags.DO_NOT_USE) == 0, fitted)
    np.testing.assert_allclose(rate[fitted], 20.0 / FRAME_S, rtol=1e-5)


@pytest.mark.parametrize(("first", "last"), [(3, 11), (-3, 5), (4, 99), (9, 3)])
def test_choice_of_groups(first, last):
    from jwst.ramp_fitting.ramp_fit_step import set_groupdq
    from stdatamodels.jwst.datamodels import dqflags

    state = ramps(nints=1, ngroups=20)
    state.data[:] = (np.arange(20, dtype=np.float32) ** 2)[:, None, None]  # the slope tells the groups
    state.groupdq[:] = 0
    ours, _ = our_fit(state, RampFitParams(firstgroup=first, lastgroup=last))
    set_groupdq(first, last, 20, state.groupdq, dqflags.group)
    theirs, _ = official_fit(state)
    np.testing.assert_allclose(ours.data, theirs["slope"], rtol=2e-5)


@pytest.mark.parametrize("algorithm", ["OLS_C", "LIKELY", "GLS"])
def test_groups_that_are_nan_are_left_out(algorithm):
    # the official fits take them for 0 (OLS_C), or give up the ramp (LIKELY)
    state = ramps(nints=1, ngroups=6, top=20000.0)
    state.groupdq[:] = 0
    flagged = replace(state, groupdq=state.groupdq.copy())
    for row, groups in ((2, slice(None)), (3, 3), (4, 0), (5, -1)):
        state.data[0, groups, row] = np.nan
        flagged.groupdq[0, groups, row] = flags.DO_NOT_USE
    flagged = replace(flagged, data=np.nan_to_num(state.data))
    ours, _ = our_fit(state, RampFitParams(algorithm=algorithm))
    expected, _ = our_fit(flagged, RampFitParams(algorithm=algorithm))
    for name in ("data", "var_rnoise", "var_poisson", "dq"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(expected, name), err_msg=name)
    assert (np.isnan(ours.data)[0, 2]).all() and np.isfinite(ours.data)[0, 3:6].all()


def straight(slopes_dn, ngroups):
    """Noisy ramps of given slopes (DN per group), in one row, in two integrations."""
    rng = np.random.default_rng(ngroups)
    noise = rng.normal(0, READ_DN, (2, ngroups, len(slopes_dn)))
    data = (900 + slopes_dn * np.arange(1, ngroups + 1)[:, None] + noise)[:, :, None].astype(np.float32)
    unflagged = np.zeros(data.shape, np.uint8), np.zeros(data.shape[2:], np.uint32)
    return replace(ramps(nints=2, ngroups=ngroups), data=data, groupdq=unflagged[0], pixeldq=unflagged[1])


def falling():
    """Ramps that fall, with jumps, unusable groups first, and both."""
    state = straight(np.linspace(-200, -1, 40), 10)
    state.data[0, 5:, 0, ::2] += 300
    state.groupdq[0, 5, 0, ::2] = flags.JUMP_DET
    state.groupdq[1, 0] = flags.DO_NOT_USE
    state.groupdq[1, 1, 0, 1::3] = flags.JUMP_DET
    return state


@pytest.mark.parametrize(
    ("state", "algorithm"),
    [
        (falling(), "OLS_C"),
        (falling(), "LIKELY"),
        (straight(np.linspace(1, 120, 60), 200), "OLS_C"),
        (straight(np.linspace(1, 120, 60), 200), "LIKELY"),
        (straight(np.linspace(-20, 300, 30), 2), "LIKELY"),  # both take OLS_C for it
        (straight(np.linspace(-20, 300, 30), 3), "LIKELY"),
    ],
    ids=["falling", "falling, likely", "long", "long, likely", "two groups, likely", "three groups, likely"],
)
def test_ramps_that_fall_and_long_and_short_ones(state, algorithm):
    theirs, _ = official_fit(state, algorithm)
    ours, _ = our_fit(state, RampFitParams(algorithm=algorithm))
    np.testing.assert_array_equal(np.asarray(ours.dq), theirs["dq"])
    assert np.isfinite(theirs["slope"]).all()
    within = np.abs(np.asarray(ours.data) - theirs["slope"]) <= 1e-5 * np.abs(theirs["slope"]) + 1e-3 * theirs["err"]
    assert within.all()
    for name in ("var_rnoise", "var_poisson"):
        values = np.asarray(getattr(ours, name)), theirs[name]
        # in long ramps either part is a small difference of float32 sums: what one gains the other loses
        np.testing.assert_allclose(*values, rtol=1e-4, atol=1e-5 * theirs["err"].max() ** 2, err_msg=name)
    if (theirs["slope"] < 0).all() and algorithm == "OLS_C":
        assert not np.asarray(ours.var_poisson).any()


@pytest.mark.parametrize("algorithm", ["OLS_C", "LIKELY"])
def test_the_dark_current_of_the_user(algorithm):
    """It stands in place of that of the reference, as the official dark_current step has it."""
    from jwst.dark_current.dark_current_step import DarkCurrentStep

    state = ramps(nints=2, ngroups=6, top=5000.0)
    state = replace(state, groupdq=np.zeros_like(state.groupdq))
    shape = state.pixeldq.shape
    official = SimpleNamespace(get_default=lambda name: np.zeros(shape, np.float32))
    DarkCurrentStep(average_dark_current=3.0).set_average_dark_current(official, None)
    found, _ = official_fit(state, algorithm, dark_e_per_s=official.average_dark_current)
    dark = Dark(np.zeros((1, 6, *shape), np.float32), np.zeros(shape, np.uint32), np.full(shape, 90, np.float32))
    params = DarkCurrentParams(average_dark_current=3.0)
    darkened, _ = call(dark_current, state, DarkCurrentRefs(dark), params)
    refs = RampFitRefs(*electronics(shape), dark, None)
    ours, _ = call(ramp_fit, darkened, refs, RampFitParams(algorithm=algorithm))
    without, _ = official_fit(state, algorithm)
    used = np.isfinite(found["slope"])
    assert (found["var_poisson"] > 1.1 * without["var_poisson"])[used].any()
    np.testing.assert_allclose(ours.var_poisson[used], found["var_poisson"][used], rtol=1e-3, atol=1e-5)


def test_pixels_without_gain_under_likely():
    """The official fit does not flag them: NaN, or a slope of negative variance. Here they are flagged, as by OLS."""
    state = ramps(nints=2, ngroups=6, top=5000.0)
    state = replace(state, groupdq=np.zeros_like(state.groupdq))
    gain = np.full(state.pixeldq.shape, GAIN, np.float32)
    gain[1, 1], gain[2, 2], gain[3, 4] = np.nan, 0, -1
    unknown = ~(gain > 0)
    found, _ = official_fit(state, "LIKELY", gain=gain)
    assert np.isnan(found["err"][:, unknown]).all() and not (found["dq"][:, unknown]).any()
    assert np.isfinite(found["slope"][0, 3, 4]) and found["var_poisson"][0, 3, 4] < 0
    known, read = electronics(gain.shape)
    refs = RampFitRefs(replace(known, data=np.nan_to_num(gain)), read, None, None)
    ours, _ = call(ramp_fit, state, refs, RampFitParams(algorithm="LIKELY"))
    assert np.isnan(ours.data[:, unknown]).all()
    assert (ours.dq[:, unknown] == flags.DO_NOT_USE | flags.NO_GAIN_VALUE).all()
    np.testing.assert_array_equal(ours.dq[:, ~unknown], found["dq"][:, ~unknown])
