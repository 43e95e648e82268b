import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.simulate.state import Charge

WELL = 65000.0


def held(chip, charge, **knobs):
    window = chip("nirspec_prism", "saturation", saturation=knobs)
    assert float(window.maps.well_e) == WELL
    image = np.zeros((1, 32, 48), np.float32)
    image[0, 16, 24] = charge
    return np.asarray(window.mean("saturation", Charge(jnp.asarray(image), jnp.asarray(0))).electrons, float)[0]


def test_without_spill_the_excess_is_lost(chip):
    out = held(chip, 3 * WELL)
    assert (out[16, 24], out.sum()) == (WELL, WELL)


def test_spilled_charge_is_conserved_and_fills_wells_around(chip):
    out = held(chip, 8 * WELL, spill=1.0, rounds=60)
    assert out.sum() == pytest.approx(8 * WELL, rel=1e-6)
    assert out.max() <= WELL
    assert out[16, 24] == WELL
    assert (out[15, 24], out[17, 24], out[16, 23], out[16, 25]) == pytest.approx((WELL,) * 4, rel=1e-3)
    assert out == pytest.approx(out[::-1].take(np.arange(-1, 31), axis=0), rel=1e-5)  # mirror about row 16


def test_one_well_and_a_half_fills_the_neighbours_evenly(chip):
    out = held(chip, 1.5 * WELL, spill=0.5)
    assert (out[15, 24], out[16, 25]) == pytest.approx((WELL / 16, WELL / 16))
    assert out.sum() == pytest.approx(1.25 * WELL)


def test_below_the_well_nothing_happens_and_gradients_are_one(chip):
    window = chip("nirspec_prism", "saturation", saturation={"spill": 1.0})
    charge = jnp.asarray(np.random.default_rng(0).uniform(0, 0.99 * WELL, (2, 32, 48)), jnp.float32)

    def total(electrons):
        return window.mean("saturation", Charge(electrons, jnp.asarray(0))).electrons.sum()

    assert np.asarray(jax.grad(total)(charge)) == pytest.approx(np.ones((2, 32, 48)))
    assert np.isfinite(np.asarray(jax.grad(total)(charge * 2))).all()


def test_senseless_knobs_are_refused(chip):
    for knobs in ({"spill": 1.5}, {"spill": 0.5, "rounds": 0}):
        with pytest.raises(ValueError, match="must"):
            chip("nirspec_prism", "saturation", saturation=knobs)
