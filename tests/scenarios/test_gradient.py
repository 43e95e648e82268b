"""The gradient of an extracted flux through the whole chain, against finite differences, in both gradient modes."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.gradient import value_and_grad
from uptheramp.calibrate.pipeline import run
from uptheramp.calibrate.reduce import reftypes
from uptheramp.calibrate.settings import recipe
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.stream import learned
from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.simulate.ramps import references
from uptheramp.simulate.ramps.render import build, draw_chunk

COLUMN = 150  # where the star is bright
OPTIMAL = {"extract_1d.method": "optimal", "extract_1d.profile": "components"}  # the box: tests/calibrate/stage2


def double(tree):
    return jax.tree.map(lambda x: np.asarray(x, float) if np.asarray(x).dtype == np.float32 else x, tree)


@pytest.fixture(scope="module")
def chain():
    """Ramps with flags of every kind, references in float64, and the steps."""
    scenario = find("quickstart")
    block = replace(scenario.mode[0], subarray="SUB512S", nints=3, integrations_in_transit=1.0)
    observation = observation_of(scenario, block)
    constants = build(observation)
    data = draw_chunk(observation, constants, 0, 3)[0].astype(float)
    # a cosmic ray and a saturated pixel in the aperture
    data[1, 3:, 7, COLUMN] += 9000.0
    data[2, 2:, 8, COLUMN + 1] = 65535.0
    meta = observation.meta
    ramps = Ramps(
        data=jnp.asarray(data),
        groupdq=jnp.zeros(data.shape, jnp.uint8),
        pixeldq=jnp.zeros(meta.shape, jnp.uint32),
        integration=jnp.arange(3, dtype=jnp.int32),
        frame_time_s=jnp.asarray(meta.frame_time_s),
        group_time_s=jnp.asarray(meta.group_time_s),
        readout=observation.readout,
    )
    chosen = recipe("recommended", "near_ir", meta.exp_type, OPTIMAL)
    steps = chosen.stage1 + chosen.stage2
    taken = reftypes(steps)
    made = references.make(observation, constants, "estimated")
    library = double({name: one for name, one in made.items() if name in taken})
    return steps, ramps, learned(steps, ramps, library, chosen.params), chosen.params


def flux_of(chain, mode):
    """Extracted flux of two columns in all integrations as a function of the tree that is returned too."""
    steps, ramps, library, params = chain
    params = {**params, "ramp_fit": replace(params["ramp_fit"], gradient=mode)}

    def flux(tree):
        state = eqx.tree_at(lambda s: s.data, ramps, tree["data"])
        mine = {
            **library,
            "superbias": replace(library["superbias"], data=tree["superbias"]),
            "linearity": replace(library["linearity"], coeffs=tree["linearity"]),
            "gain": replace(library["gain"], data=tree["gain"]),
            "dflat": replace(library["dflat"], data=tree["flat"]),
            "profile": replace(library["profile"], data=tree["profile"]),
            "extract1d": replace(library["extract1d"], lower=tree["edge"]),
        }
        spectra, _ = run(steps, state, mine, params)
        return 1e6 * jnp.sum(spectra.flux[:, COLUMN : COLUMN + 2])

    start = {
        "data": ramps.data,
        "superbias": jnp.asarray(library["superbias"].data),
        "linearity": jnp.asarray(library["linearity"].coeffs),
        "gain": jnp.asarray(library["gain"].data),
        "flat": jnp.asarray(library["dflat"].data),
        "profile": jnp.asarray(library["profile"].data),
        "edge": jnp.asarray(library["extract1d"].lower),
    }
    return jax.jit(flux), start


ENTRIES = {  # where the flux depends on the tree, and how large a step shows it without moving a flag
    "data": ((0, 2, 7, COLUMN), 0.5),
    "superbias": ((7, COLUMN), 0.5),
    "linearity": ((2, 7, COLUMN), 1e-9),
    "gain": ((7, COLUMN), 1e-3),
    "flat": ((0, 7, COLUMN), 1e-4),
    "profile": ((7, COLUMN), 1e-9),
    "edge": ((0,), 1e-5),
}


@pytest.mark.parametrize("mode", ["exact", "frozen"])
def test_gradient_of_an_extracted_flux_equals_finite_differences(chain, mode):
    flux, start = flux_of(chain, mode)
    value, gradient = jax.jit(value_and_grad(flux))(start)
    assert np.isfinite(value)
    assert all(np.isfinite(np.asarray(g)).all() for g in jax.tree.leaves(gradient))
    for name, (entry, step) in ENTRIES.items():
        moved = [flux({**start, name: start[name].at[entry].add(sign * step)}) for sign in (1, -1)]
        difference = (moved[0] - moved[1]) / (2 * step)
        found = gradient[name][entry]
        if mode == "frozen" and name == "gain":
            # gain enters a slope in DN/s through the weights alone, and those are held
            assert found == 0
            assert np.any(np.asarray(gradient["data"]) != 0)
        else:
            assert difference != 0
            np.testing.assert_allclose(found, difference, rtol=2e-5)


def test_the_planted_faults_are_flagged(chain):
    steps, ramps, library, params = chain
    before = tuple(s for s in steps if s.name not in ("ramp_fit", "gain_scale"))[:9]
    state, _ = jax.jit(lambda r: run(before, r, library, params))(ramps)
    dq = np.asarray(state.groupdq)
    assert dq[1, 3, 7, COLUMN] & flags.JUMP_DET
    assert dq[2, 2, 8, COLUMN + 1] & flags.SATURATED
