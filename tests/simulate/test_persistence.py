import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.simulate.detector.persistence import PersistenceSettings, Traps
from uptheramp.simulate.ramps import render
from uptheramp.simulate.scene.star import Star
from uptheramp.simulate.state import Illumination


def traps(time_s=(100.0,), fraction=(1e-3,), shape=(2, 3), well=1e9):
    time_s, fraction = np.array(time_s), np.array(fraction)
    return Traps(time_s, fraction, np.ones(shape), np.float64(well), 0 * fraction, np.float64(10.0))


@pytest.mark.parametrize("frames", [1, 7])
def test_filling_is_the_solution_of_the_law(frames):
    # light of 30 e-/s for 70 s on a pixel that holds 500 e-: n' = (f (Q0 + F t) - n) / tau
    own, q0, flux, time, tau, fraction, n0 = traps(), 500.0, 30.0, 70.0, 100.0, 1e-3, 0.2
    n, held = (jnp.full((2, 3), n0),), jnp.full((2, 3), q0)
    for _ in range(frames):
        gained = jnp.full((2, 3), flux * time / frames)
        n, held = own.after(n, held, gained, jnp.asarray(time / frames)), held + gained
    settled = fraction * (q0 - flux * tau)
    expected = settled + fraction * flux * time + (n0 - settled) * np.exp(-time / tau)
    assert np.asarray(n) == pytest.approx(np.full((1, 2, 3), expected), rel=1e-12)


def test_charge_is_conserved_between_pixels_and_traps(chip):
    window = chip("nirspec_prism", "persistence", persistence={"earlier_fill": 0.5, "earlier_s_ago": 60.0})
    own = window.own["persistence"]
    start = window.start("persistence")
    rate = np.random.default_rng(0).exponential(3e3, (5, 32, 48))
    state = Illumination(jnp.asarray(rate), jnp.asarray(0), {"persistence": start})
    after = window.mean("persistence", state)
    frame = float(window.params.frame_time_s)
    kept = np.exp(-float(own.reset_s) / np.asarray(own.time_s))[:, None, None]
    trapped = (np.asarray(after.memory["persistence"], float) / kept - np.asarray(start, float)).sum(0)
    missing = ((rate - np.asarray(after.rate)) * frame).sum(0)
    assert missing == pytest.approx(trapped, abs=2e-4)
    assert np.abs(trapped).max() > 0.1


def test_an_exposure_begins_too_faint_and_settles(chip):
    window = chip("nirspec_prism", "persistence")
    own = window.own["persistence"]
    flux, frame = 4e4, float(window.params.frame_time_s)
    memory, means = {"persistence": window.start("persistence")}, []
    for integration in range(60):
        state = Illumination(np.full((5, 32, 48), flux), jnp.asarray(integration), memory)
        after = window.mean("persistence", state)
        memory = after.memory
        means.append(1 - float(after.rate.mean()) / flux)
    # in the first integration the empty traps take fraction * F T / (2 tau) of the light; later less
    first = (np.asarray(own.fraction) * own.pixel.mean() * 5 * frame / 2 / np.asarray(own.time_s)).sum()
    assert means[0] == pytest.approx(first, rel=0.02)
    assert (np.diff(means) < 0).all()


def test_what_earlier_light_left_comes_out_with_the_time_constants(chip):
    window = chip("nirspec_prism", "persistence", persistence={"earlier_fill": 1.0})
    own, frame = window.own["persistence"], float(window.params.frame_time_s)
    memory = {"persistence": window.start("persistence")}
    released = []
    for integration in range(40):
        state = Illumination(np.zeros((5, 32, 48), np.float32), jnp.asarray(integration), memory)
        after = window.mean("persistence", state)
        memory = after.memory
        released.append(np.asarray(after.rate, float).mean())
    cadence = 5 * frame + float(own.reset_s)
    time = np.arange(40) * cadence
    tau, n0 = np.asarray(own.time_s), np.asarray(own.initial_e) * own.pixel.mean()
    parts = n0 * -np.expm1(-5 * frame / tau) / (5 * frame) * np.exp(-time[:, None] / tau)
    assert released == pytest.approx(parts.sum(1), rel=1e-4)


def test_the_state_runs_on_from_chunk_to_chunk(small):
    on = small(star=Star(11.0), nints=6, effects=("persistence", "poisson", "superbias", "read_noise", "adc"),
        settings={"persistence": PersistenceSettings(scale=30.0)})  # fmt: skip
    constants = render.build(on)
    whole, end, _ = render.draw_chunk(on, constants, 0, 6)
    first, memory, _ = render.draw_chunk(on, constants, 0, 2)
    second, memory, _ = render.draw_chunk(on, constants, 2, 4, memory)
    assert (np.concatenate([first, second]) == whole).all()
    assert (np.asarray(memory["persistence"]) == np.asarray(end["persistence"])).all()
    twin, carried = render.mean_chunk(on, constants, 0, 6)
    assert np.asarray(carried["persistence"]) == pytest.approx(np.asarray(end["persistence"]), rel=1e-5)
    with pytest.raises(ValueError, match="memory"):
        render.mean_chunk(on, constants, 2, 1)
    # the twin is what the draws scatter about, and the traps are seen in it
    residual = (whole.astype(float) - twin) / np.sqrt(np.asarray(constants.maps.read_noise_e) ** 2 + twin)
    assert abs(residual.mean()) < 5 / np.sqrt(residual[:, 0].size)
    without = dataclasses.replace(on, effects=on.effects[1:])
    plain, _ = render.mean_chunk(without, render.build(without), 0, 1)
    assert (np.asarray(plain) - np.asarray(twin)[:1]).max() > 1.0


def test_senseless_knobs_are_refused(chip):
    with pytest.raises(ValueError, match="between"):
        chip("nirspec_prism", "persistence", persistence={"earlier_fill": 2.0})
