"""The traps of persistence: the law against its numerical solution, chunks, neutral references, flags."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from official_ramps import FRAME_S, call, ramps
from uptheramp.calibrate import flags
from uptheramp.calibrate.kernels import traps
from uptheramp.calibrate.references.persat import PerSat
from uptheramp.calibrate.references.trapdensity import TrapDensity
from uptheramp.calibrate.references.trappars import TrapPars
from uptheramp.calibrate.stage1.persistence import PersistenceParams, PersistenceRefs, nothing_yet, persistence

FULL_DN = 40000.0
PARS = TrapPars(
    np.array([30.0, 50.0, 0.0]),
    np.array([-0.02, -0.002, -1.0]),
    np.array([0.0, 0.0, 8.0]),
    np.array([-0.01, -0.004, -0.05]),
)


def refs(state, pars=PARS):
    shape = state.pixeldq.shape
    density = np.random.default_rng(3).uniform(0.5, 1.5, shape).astype(np.float32)
    return PersistenceRefs(pars, TrapDensity(density), PerSat(np.full(shape, FULL_DN, np.float32)))


@pytest.mark.parametrize("time_s", [0.3, 40.0, 2000.0])
def test_the_exact_step_is_the_solution_of_the_law(time_s):
    law = traps.Family(*(np.array([[[v]], [[w]]]) for v, w in ((30, 5), (0.02, 0.002), (4, 0), (0.01, 1e-4))))
    before, now, start = 0.2, 0.7, np.array([3.0, 1.0])
    found = traps.after(
        np.broadcast_to(start[:, None, None], (2, 1, 1)),
        np.full((1, 1), before),
        np.full((1, 1), now),
        np.float64(time_s),
        law,
    )

    def rate(t, n):
        q = before + (now - before) * t / time_s
        held, filling, once, emptying = (x[:, 0, 0] for x in law)
        return held * filling * q + once * (now - before) / time_s - emptying * n

    expected = solve_ivp(rate, (0, time_s), start, rtol=1e-10, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(np.asarray(found)[:, 0, 0], expected, rtol=1e-7)


def test_a_bright_integration_goes_on_in_the_dark_ones_after_it():
    state = ramps(nints=4, ngroups=5)
    data = np.zeros_like(state.data)
    data[0] = FULL_DN * np.array([0.5, 1.0, 1.0, 1.0, 1.0])[:, None, None]
    state = replace(state, data=data)
    given = refs(state)
    ours, _ = call(persistence, state, given, PersistenceParams(flag_pers_cutoff=0.5))
    # the law followed by small steps from the start of the exposure on, for density 1
    times = np.asarray(state.starts_s)[:, None] + FRAME_S * np.arange(6)
    n, now, taken = np.zeros(3), 0.0, np.zeros((4, 5))
    filled = [0.0, 0.5, 1.0, 1.0, 1.0, 1.0]
    for i in range(4):
        n = n * np.exp(PARS.decay_param * (times[i, 0] - now))
        begin = n.sum()
        for j in range(1, 6):
            steps = 4000
            q = np.linspace(filled[j - 1], filled[j], steps + 1) if i == 0 else np.zeros(steps + 1)
            for a, b in zip(q, q[1:], strict=False):
                dn = PARS.capture0 * -PARS.capture1 * (a + b) / 2 + PARS.decay_param * n
                n = n + dn * FRAME_S / steps + PARS.capture2 * (b - a)
            taken[i, j - 1] = n.sum() - begin
        now = times[i, -1]
    expected = data + taken[..., None, None] * np.asarray(given.trapdensity.data)
    assert taken[0, -1] > 5 and taken[1, -1] < -2
    np.testing.assert_allclose(ours.data, expected, atol=0.02)
    np.testing.assert_array_equal((np.asarray(ours.groupdq) & flags.PERSISTENCE) != 0, data - expected >= 0.5)


def test_the_traps_run_on_through_chunks():
    state = ramps(nints=6, ngroups=5)
    given, params = refs(state), PersistenceParams()
    whole, _ = call(persistence, state, given, params)
    memory, parts = {"persistence": nothing_yet(state, PersistenceParams())}, []
    for i in range(0, 6, 2):
        cut = slice(i, i + 2)
        names = ("data", "groupdq", "integration", "start_s")
        part, _ = call(
            persistence, replace(state, memory=memory, **{n: getattr(state, n)[cut] for n in names}), given, params
        )
        memory = part.memory
        parts.append(part.data)
    assert np.abs(np.asarray(whole.data) - state.data).max() > 5
    np.testing.assert_allclose(np.concatenate(parts), whole.data, rtol=3e-7)


def test_without_traps_nothing_changes():
    state = ramps(nints=2, ngroups=3)
    still = TrapPars(np.zeros(3), -np.ones(3), np.zeros(3), -np.ones(3))
    ours, _ = call(persistence, state, refs(state, still), PersistenceParams())
    np.testing.assert_array_equal(ours.data, state.data)
    np.testing.assert_array_equal(ours.groupdq, state.groupdq)
    unknown = replace(refs(state), persat=PerSat(np.zeros(state.pixeldq.shape, np.float32)))
    ours, _ = call(persistence, state, unknown, PersistenceParams())
    np.testing.assert_array_equal(ours.data, state.data)
