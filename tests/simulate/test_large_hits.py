import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate.instruments import lookup
from uptheramp.simulate.detector import large_hits
from uptheramp.simulate.state import Charge

SHAPE = (6, 128, 200)


def laws(instrument, name, seconds=3.0, scale=50.0):
    detector = lookup.instrument(instrument).detectors[0]
    return large_hits.large_hit_params(
        getattr(detector, name), np.prod(detector.shape), SHAPE, seconds, seconds, scale
    ), getattr(detector, name)


@pytest.mark.parametrize(("instrument", "name"), [("NIRCAM", "snowballs"), ("MIRI", "showers")])
def test_as_many_events_as_the_rate_says_with_radii_of_the_law(instrument, name):
    params, table = laws(instrument, name)
    draw = jax.jit(jax.vmap(lambda key: large_hits.events(key, params, SHAPE)))
    found = jax.tree.map(np.asarray, draw(jax.random.split(jax.random.key(0), 400)))
    inside = (found.y > -0.5) & (found.y < 127.5) & (found.x > -0.5) & (found.x < 199.5)
    real = np.arange(params.most) < found.number[:, None]
    pixels = np.prod(lookup.instrument(instrument).detectors[0].shape)
    expected = 50.0 * 400 * 18.0 / table.interval_s * 128 * 200 / pixels
    assert (inside & real).sum() == pytest.approx(expected, abs=5 * np.sqrt(expected))
    radii = found.radius_px[real]
    (low, high), s = table.radius_px, table.radius_power - 1
    assert low <= radii.min() <= radii.max() <= high * 1.0001
    median = (0.5 * low**-s + 0.5 * high**-s) ** (-1 / s)
    assert np.mean(radii < median) == pytest.approx(0.5, abs=2.5 / np.sqrt(radii.size))


def test_an_event_is_a_disc_with_a_halo():
    params, table = laws("NIRCAM", "snowballs")
    found = large_hits.Events(jnp.asarray(1), *(jnp.array([v]) for v in (2, 60.0, 90.0, 8.0)))
    image = np.asarray(large_hits.painted(jax.random.key(0), found, 0, jnp.ones(SHAPE[1:], jnp.float32), params))
    distance = np.hypot(*(np.indices(SHAPE[1:]) - np.array([60, 90])[:, None, None]))
    core = image[distance <= 8]
    assert core.mean() == pytest.approx(table.core_e, rel=5 * np.sqrt(1 / table.core_e / core.size))
    ring = (distance > 12) & (distance < 13)
    falling = table.halo_e * np.exp(-(distance[ring] - 8) / table.halo_px)
    assert image[ring].mean() == pytest.approx(falling.mean(), rel=5 / np.sqrt(falling.sum()))
    assert image[distance > 8 + 5 * table.halo_px + 1].max() == 0
    # at the window's corner it is cut, not folded to the other side
    corner = found._replace(y=jnp.array([-3.0]), x=jnp.array([-3.0]))
    image = np.asarray(large_hits.painted(jax.random.key(0), corner, 0, jnp.ones(SHAPE[1:], jnp.float32), params))
    assert image[:4, :4].min() > 0
    assert image[60:].max() == image[:, 60:].max() == 0


def test_what_is_trapped_is_released_into_later_integrations(chip):
    window = chip("nircam_f322w2", "snowballs", snowballs={"rate_scale": 5e4})
    own = window.own["snowballs"]
    reads, frame = window.observation.reads_per_integration, float(window.params.frame_time_s)
    dark = Charge(jnp.zeros((reads, 32, 48), jnp.float32), jnp.asarray(0), {"snowballs": window.start("snowballs")})
    first, truth = window.draw("snowballs", dark)
    charge = np.asarray(first.electrons, float)
    listed = truth["snowballs"]
    # events land between reads and stay, what they have trapped comes out beside that
    assert (np.diff(charge, axis=0) >= 0).all()
    struck = np.asarray(listed.electrons).sum()
    assert struck > 1e6
    assert charge[-1].sum() == pytest.approx(struck, rel=0.01)
    none = dataclasses.replace(own, per_integration=jnp.float32(0))
    quiet = window._replace(own={"snowballs": none})
    state = dataclasses.replace(dark, memory=first.memory, integration=jnp.asarray(1))
    second, _ = quiet.draw("snowballs", state)
    trapped = np.asarray(first.memory["snowballs"], float)
    time = np.arange(1, reads + 1) * frame
    expected = trapped * -np.expm1(-time / float(own.release_s))[:, None, None]
    assert np.asarray(second.electrons) == pytest.approx(expected, rel=1e-4, abs=0.5)
    assert expected.max() > 1
    left = trapped * np.exp(-(time[-1] + float(own.reset_s)) / float(own.release_s))
    assert np.asarray(second.memory["snowballs"]) == pytest.approx(left, rel=1e-4, abs=0.1)
