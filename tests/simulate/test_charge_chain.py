"""What happens to charge, as a chain: nothing disturbs anything else, state runs on, gradients are right."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate.gradient import value_and_grad
from uptheramp.simulate.detector.charge_migration import ChargeMigrationSettings
from uptheramp.simulate.detector.cosmic_rays import CosmicRaySettings
from uptheramp.simulate.detector.ipc import IpcSettings
from uptheramp.simulate.detector.large_hits import LargeHitSettings
from uptheramp.simulate.detector.persistence import PersistenceSettings
from uptheramp.simulate.detector.saturation import SaturationSettings
from uptheramp.simulate.effect import key_of
from uptheramp.simulate.ramps import chain, covariance
from uptheramp.simulate.state import Charge

ALWAYS = ("dark", "poisson", "nonlinearity", "superbias", "ktc", "read_noise", "adc")
CHARGE = ("persistence", "charge_migration", "cosmic_rays", "snowballs", "ipc", "saturation", "ipc_after_nonlinearity")
STRENGTH = {
    "persistence": PersistenceSettings(scale=30.0, earlier_fill=0.5, earlier_s_ago=20.0),
    "charge_migration": ChargeMigrationSettings(scale=3.0),
    "cosmic_rays": CosmicRaySettings(flux_scale=300.0),
    "snowballs": LargeHitSettings(rate_scale=2e4),
    "saturation": SaturationSettings(spill=0.8),
}
NOTHING = {
    "persistence": PersistenceSettings(scale=0.0),
    "charge_migration": ChargeMigrationSettings(scale=0.0),
    "cosmic_rays": CosmicRaySettings(flux_scale=0.0),
    "snowballs": LargeHitSettings(rate_scale=0.0),
    "saturation": SaturationSettings(spill=0.0),
}


@pytest.fixture(scope="module")
def exposure(bench):
    """Return a function that makes a bench of NIRSpec pixels under a spot that fills a few wells."""

    def make(effects, settings):
        made = bench("nirspec_prism", (24, 20), effects=effects, settings=settings, ngroups=4)
        y, x = np.indices(made.maps.light.shape)
        spot = 1e5 * np.exp(-((y - 10) ** 2 + (x - 12) ** 2) / 18)
        made.rate = (np.ones((len(made.rate), 1, 1)) * spot).astype(np.float32)
        return made

    return make


def test_effects_of_no_strength_are_effects_that_are_off(exposure):
    with_them = exposure(ALWAYS + CHARGE, NOTHING)
    for name in ("ipc", "ipc_after_nonlinearity"):
        with_them.own[name] = dataclasses.replace(with_them.own[name], alpha=np.zeros(2, np.float32))
    with_them.maps = dataclasses.replace(with_them.maps, well_e=np.float32(1e9))
    without = exposure(ALWAYS, NOTHING)
    without.maps = with_them.maps
    key = jax.random.key(3)
    assert (np.asarray(with_them.drawn(key, 2)[0]) == np.asarray(without.drawn(key, 2)[0])).all()


@pytest.fixture(scope="module")
def everything(exposure):
    made = exposure(ALWAYS + CHARGE, STRENGTH)
    return made, made.drawn(jax.random.key(3), 3)


def test_state_runs_on_from_chunk_to_chunk(everything):
    made, (whole, end) = everything
    key = jax.random.key(3)
    first, memory = made.drawn(key, 1)
    second, memory = made.drawn(key, 2, memory=memory, first=1)
    assert (np.concatenate([first, second]) == np.asarray(whole)).all()
    assert {"persistence", "snowballs"} <= set(end)
    assert all((np.asarray(memory[name]) == np.asarray(end[name])).all() for name in end)


@pytest.fixture(scope="module")
def struck(exposure):
    """Return a bench without what couples pixels and integrations, and its first integration."""
    made = exposure((*ALWAYS, "cosmic_rays", "snowballs"), STRENGTH)
    return made, np.asarray(made.drawn(jax.random.key(3), 1)[0])[0]


@pytest.mark.parametrize("name", ["cosmic_rays", "snowballs"])
def test_hits_change_nothing_where_they_do_not_strike(struck, name):
    made, both = struck
    on = tuple(n for n in made.observation.effects if n != name)
    without = np.asarray(made.drawn(jax.random.key(3), 1, on=on)[0])[0]
    changed = both != without
    dark = Charge(jnp.zeros(both.shape, jnp.float32), jnp.asarray(0), made.start(jax.random.key(3), (name,)))
    key = key_of(jax.random.key(3), name, jnp.asarray(0))
    hit = chain.EFFECTS[name].draw(key, dark, made.maps, made.params.of(made.own[name]))[0]
    there = np.asarray(hit.electrons) > 0
    assert not changed[~there].any()
    assert changed[there].mean() > 0.5  # less than a DN may be rounded away
    assert 0 < there.mean() < 1


WHERE = {
    "IPC": lambda t: t[1]["ipc"].alpha,
    "IPC after": lambda t: t[1]["ipc_after_nonlinearity"].faint,
    "charge migration": lambda t: t[1]["charge_migration"].shift_px_per_e,
    "trapped fraction": lambda t: t[1]["persistence"].fraction,
    "trap time": lambda t: t[1]["persistence"].time_s,
    "spill": lambda t: t[1]["saturation"].share,
    "gain": lambda t: t[0].gain,
    "depletion": lambda t: t[0].charge_physics.depletion,
    "dark": lambda t: t[0].dark_e_per_s,
}


@pytest.fixture(scope="module")
def gradient(exposure):
    """Return a weighted sum of a mean integration in float64 as a function of (maps, constants), and its gradient."""
    knobs = STRENGTH | {"ipc_after_nonlinearity": IpcSettings(signal_dependent=True)}
    effects = ("dark", "persistence", "charge_migration", "poisson", "ipc", "saturation", "nonlinearity",
        "ipc_after_nonlinearity", "superbias")  # fmt: skip
    made = exposure(effects, knobs)
    wide = jax.tree.map(
        lambda leaf: jnp.asarray(leaf, jnp.float64) if jnp.asarray(leaf).dtype == jnp.float32 else leaf,
        (made.maps, made.own),
    )
    made.rate = made.rate.astype(np.float64)
    weight = np.random.default_rng(2).standard_normal(made.rate.shape)
    memory = made.start(jax.random.key(0), ("persistence",))

    def total(tree):
        maps, own = tree
        pointing, shine, _, params, _ = made.given(1, memory)
        return jnp.sum(weight * chain.mean(pointing, shine, maps, params, own, effects).dn)

    return jax.jit(total), wide, jax.jit(value_and_grad(total))(wide)[1]


@pytest.mark.parametrize("name", WHERE)
def test_gradients_of_a_mean_frame_are_finite_differences(gradient, name):
    total, tree, slopes = gradient
    place = WHERE[name]
    value = np.asarray(place(tree), float)
    direction = np.random.default_rng(1).uniform(0.5, 1.5, value.shape) * np.abs(value)
    step = 1e-5

    def moved(sign):
        return float(total(eqx.tree_at(place, tree, value + sign * step * direction)))

    numeric = (moved(1) - moved(-1)) / (2 * step)
    assert numeric != 0
    assert float(np.sum(np.asarray(place(slopes)) * direction)) == pytest.approx(numeric, rel=1e-5)


def test_all_gradients_are_finite(gradient):
    leaves = jax.tree.leaves(gradient[2])
    assert len(leaves) > 20
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in leaves)


@pytest.mark.parametrize(("mode", "rate"), [("nirspec_prism", 4e4), ("miri_lrs", 1e5)])
def test_photon_noise_through_boundaries_and_coupling_is_as_the_covariance_says(bench, mode, rate):
    effects = ("charge_migration", "poisson", "ipc")
    knobs = {"charge_migration": ChargeMigrationSettings(scale=4.0 if mode == "nirspec_prism" else 1.0)}
    made = bench(mode, (32, 32), effects=effects, settings=knobs, rate_e_per_s=rate, ngroups=5)
    reads = covariance.of_reads(*made.given(), effects)
    draws = np.asarray(jax.lax.map(lambda k: made.drawn(k)[0][0], jax.random.split(jax.random.key(1), 400)), float)
    draws -= draws.mean(0)
    for i, j in ((4, 4), (0, 4), (2, 3)):
        product = (draws[:, i] * draws[:, j])[:, 4:-4, 8:-8]
        expected = float(np.asarray(reads(jnp.asarray(i), jnp.asarray(j)))[4:-4, 8:-8].mean())
        plain = float(np.asarray(made.mean()[0, min(i, j), 8, 8] / made.maps.gain[8, 8]))
        error = product.std() / np.sqrt(product.size)
        # the covariance of neighbours, left out, is of second order
        second = 10 * (np.asarray(made.own["charge_migration"].shift_px_per_e).max() * rate * 5 * 0.3) ** 2
        assert product.mean() == pytest.approx(expected, abs=5 * error + second * expected)
        assert expected < 0.97 * plain
