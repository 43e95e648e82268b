"""Groups left out, against the official functions: charge_migration, firstframe, lastframe, rscd."""

from types import SimpleNamespace

import pytest

from official_ramps import call, model, ramps, same
from uptheramp.calibrate import flags
from uptheramp.calibrate.references.rscd import Rscd
from uptheramp.calibrate.stage1.charge_migration import ChargeMigrationParams, charge_migration
from uptheramp.calibrate.stage1.firstframe import FirstframeParams, firstframe
from uptheramp.calibrate.stage1.lastframe import lastframe
from uptheramp.calibrate.stage1.rscd import RscdRefs, rscd

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")


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
