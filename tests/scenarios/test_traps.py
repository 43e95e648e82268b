"""Traps of the simulator, taken out by the calibrator's own model: noise-free ramps, references from the simulator."""

from dataclasses import replace

import numpy as np
import pytest

from uptheramp.calibrate.instruments.core import Curve
from uptheramp.calibrate.references.persat import PerSat
from uptheramp.calibrate.references.trapdensity import TrapDensity
from uptheramp.calibrate.references.trappars import TrapPars
from uptheramp.calibrate.stage1.persistence import PersistenceParams, PersistenceRefs, nothing_yet, persistence
from uptheramp.calibrate.state import Ramps
from uptheramp.simulate.calibration import traps
from uptheramp.simulate.detector.persistence import PersistenceSettings
from uptheramp.simulate.observation import observe
from uptheramp.simulate.ramps import render
from uptheramp.simulate.scene.planet import Planet
from uptheramp.simulate.scene.star import Star

NONE = Curve((0.5, 30.0), (0.0, 0.0))


@pytest.fixture(scope="module")
def exposure():
    """Ramps with and without traps, DN, and what the calibrator knows of these."""
    o = observe(
        "nirspec_prism",
        ngroups=4,
        nints=24,
        star=Star(11.0),
        planet=Planet(period_d=4.0, a_rs=11.4, inclination_deg=80.0, radius_ratio=NONE, u1=NONE, u2=NONE),
        subarray="SUB512S",
        effects=("persistence",),
        settings={"persistence": PersistenceSettings(scale=3.0)},
    )
    constants = render.build(o)
    # families so fast that an exposure of seconds shows what one of hours would
    faster = replace(constants.own["persistence"], time_s=np.array([2.0, 10.0, 50.0]))
    constants = replace(constants, own=constants.own | {"persistence": faster})
    with_traps, _ = render.mean_chunk(o, constants, 0, o.nints)
    without = replace(o, effects=())
    clean, _ = render.mean_chunk(without, render.build(without), 0, o.nints)
    known = traps.make(o, constants, None)
    return o, np.asarray(with_traps), np.asarray(clean), PersistenceRefs(**known), constants


def slope(ramps):
    return ramps[:, -1] - ramps[:, 0]


def test_the_hook_at_the_start_of_an_exposure_is_gone(exposure):
    o, with_traps, clean, refs, constants = exposure
    shape = clean.shape
    state = Ramps(
        with_traps.astype(np.float32),
        np.zeros(shape, np.uint8),
        np.zeros(shape[-2:], np.uint32),
        np.arange(shape[0]),
        np.float64(o.subarray.frame_time_s),
        np.float64(o.subarray.frame_time_s),
        o.readout,
        start_s=np.arange(shape[0]) * o.cadence_s,
    )
    state = replace(state, memory={"persistence": nothing_yet(state, PersistenceParams())})
    ours, _ = persistence(state, refs, PersistenceParams())
    bright = slope(clean)[0] > 0.2 * slope(clean)[0].max()

    def lost(ramps):
        return (slope(ramps) / slope(clean) - 1)[:, bright].mean(1)

    before, after = lost(with_traps), lost(np.asarray(ours.data, float))
    hook = before[0] - before[-1]
    assert hook < -30e-6
    # the calibrator takes the filling from ramps that lack what the traps hold, three times 0.2 %
    assert np.abs(after).max() < 0.006 * np.abs(before).max()
    # traps of which a calibration knows as much as is assumed leave their error
    wrong = traps.make(o, constants, np.random.default_rng(0))
    ours, _ = persistence(state, PersistenceRefs(**wrong), PersistenceParams())
    assert np.abs(lost(np.asarray(ours.data, float))).max() < 0.3 * np.abs(before).max()


def test_reference_files_go_there_and_back(exposure, tmp_path):
    o, _, _, refs, _ = exposure
    for name, kind in (("trappars", TrapPars), ("trapdensity", TrapDensity), ("persat", PerSat)):
        path = tmp_path / f"{name}.fits"
        getattr(refs, name).to_file(path, o.meta)
        back = kind.from_file(path, o.meta)
        for field in vars(back):
            np.testing.assert_allclose(getattr(back, field), getattr(getattr(refs, name), field), rtol=1e-6)
