"""Snowballs of the simulator under the official step's treatment: how much of their charge is left to the fit.

What an event adds to a difference of groups is that of two renderings, with it and without; all other draws are alike.
"""

import equinox as eqx
import numpy as np

from uptheramp.calibrate import flags
from uptheramp.calibrate.instruments.core import Curve
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.stage1.jump import JumpParams, JumpRefs, jump
from uptheramp.calibrate.state import Ramps
from uptheramp.simulate.detector.large_hits import LargeHitSettings
from uptheramp.simulate.observation import observe
from uptheramp.simulate.ramps import render
from uptheramp.simulate.scene.planet import Planet
from uptheramp.simulate.scene.star import Star

ALWAYS = ("dark", "poisson", "saturation", "read_noise", "adc")
SATURATED = 0.97  # of the well
NONE = Curve((0.5, 30.0), (0.0, 0.0))
PLANET = Planet(period_d=4.0, a_rs=11.4, inclination_deg=80.0, radius_ratio=NONE, u1=NONE, u2=NONE)


def rendered(mode, name, scale, **window):
    """Ramps in DN with events and without, and what the jump step needs to know."""

    def once(effects, settings):
        o = observe(mode, star=Star(12.0), planet=PLANET, effects=effects, settings=settings, seed=5, **window)
        constants = render.build(o)
        return o, constants, render.draw_chunk(o, constants, 0, o.nints)[0].astype(np.float32)

    o, constants, struck = once((*ALWAYS, name), {name: LargeHitSettings(rate_scale=scale)})
    _, _, quiet = once(ALWAYS, {})
    maps = constants.maps
    gain, read_e = (np.broadcast_to(np.asarray(x, np.float32), o.shape) for x in (maps.gain, maps.read_noise_e))
    refs = JumpRefs(Gain(gain, np.float32(1)), ReadNoise(2**0.5 * read_e / gain), None)
    times = np.float64(o.subarray.frame_time_s), np.float64(o.meta.group_time_s)
    dq = np.where(struck * gain >= SATURATED * np.asarray(maps.well_e), flags.SATURATED, 0).astype(np.uint8)
    state = Ramps(struck, dq, np.zeros(o.shape, np.uint32), np.arange(o.nints), *times, o.readout)
    return state, refs, np.diff(struck - quiet, axis=1)


def lost(state, refs, params, added):
    """Share of the added charge that stays in differences that a fit uses, and of untouched differences given up."""
    out, _ = eqx.filter_jit(jump)(state, refs, params)
    dq = np.asarray(out.groupdq)
    unused = ((dq[:, 1:] | dq[:, :-1]) & flags.SATURATED | dq[:, 1:] & flags.JUMP_DET) != 0
    counted = ((state.groupdq[:, 1:] | state.groupdq[:, :-1]) & flags.SATURATED) == 0
    there = np.abs(added) * counted
    return (there * ~unused).sum() / there.sum(), (unused & counted & (np.abs(added) < 1)).sum() / counted.sum()


def test_snowballs():
    state, refs, added = rendered("nircam_f322w2", "snowballs", 1500.0, ngroups=6, nints=3, subarray="SUBGRISM64")
    before, _ = lost(state, refs, JumpParams(), added)
    after, given_up = lost(state, refs, JumpParams(expand_large_events=True), added)
    assert after < 0.85 * before  # what is left of the halo beyond the grown ellipse
    assert given_up < 0.05
