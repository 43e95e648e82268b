"""persistence against the official function, and through chunks."""

import equinox as eqx
import numpy as np
import pytest

from official_ramps import call, model, ramps, same
from uptheramp.calibrate import flags
from uptheramp.calibrate.stage1.persistence import PersistenceParams, PersistenceRefs, nothing_yet, persistence

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")
NO_TRAPS = PersistenceRefs(None, None, None)


@pytest.mark.parametrize(
    ("threshold", "dnu", "time_s"),
    [(None, True, 33.0), (30000.0, False, 33.0), (30000.0, False, 0.0), (None, True, 1e4)],
)
def test_persistence(threshold, dnu, time_s):
    from jwst.persistence import persistence as peer

    state = ramps(nints=5, ngroups=5)
    state.groupdq[0, 3:, 2:4] |= flags.SATURATED
    state.groupdq[2, 1:, 3:5] |= flags.SATURATED
    settings = {"persistence_time": time_s, "dn_threshold": threshold, "persistence_dnu": dnu}
    ours, _ = call(persistence, state, NO_TRAPS, PersistenceParams(**settings))
    work = peer.DataSet(model(state), None, persistence_array=np.zeros(state.pixeldq.shape), **settings)
    theirs, _ = work.do_all()
    assert (theirs.groupdq & flags.PERSISTENCE).any()
    same(ours, theirs)


def test_persistence_runs_on_through_chunks():
    state = ramps(nints=6, ngroups=5)
    state.groupdq[0, 3:, 2:4] |= flags.SATURATED
    params = PersistenceParams(persistence_time=41.0)
    whole, _ = call(persistence, state, NO_TRAPS, params)
    memory, parts = {"persistence": nothing_yet(state, PersistenceParams())}, []
    for i in range(0, 6, 2):
        cut = slice(i, i + 2)
        where = lambda s: (s.data, s.groupdq, s.integration, s.start_s, s.memory)  # noqa: E731
        new = state.data[cut], state.groupdq[cut], state.integration[cut], state.start_s[cut], memory
        part, _ = call(persistence, eqx.tree_at(where, state, new), NO_TRAPS, params)
        memory = part.memory
        parts.append(part.groupdq)
    np.testing.assert_array_equal(np.concatenate(parts), whole.groupdq)
