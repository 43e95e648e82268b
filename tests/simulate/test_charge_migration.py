import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.simulate.detector.charge_migration import Boundaries
from uptheramp.simulate.state import Illumination


def illuminated(rate, boundaries=None):
    return Illumination(jnp.asarray(rate), jnp.asarray(0), boundaries=boundaries)


def star(shape, peak, width=1.0):
    y, x = np.indices(shape[1:])
    image = np.exp(-((y - shape[1] / 2) ** 2 + (x - shape[2] / 2) ** 2) / 2 / width**2)
    return np.broadcast_to(peak * image, shape).astype(np.float32)


@pytest.mark.parametrize("mode", ["nirspec_prism", "miri_lrs"])
def test_charge_is_conserved_and_stars_grow(chip, mode):
    window = chip(mode, "charge_migration", ngroups=6)
    o = window.observation
    frame = float(window.params.frame_time_s)
    shape = (o.reads_per_integration, *o.shape)
    light = illuminated(star(shape, 0.9 * o.detector.full_well_e / frame / shape[0]))
    plain = np.asarray(window.mean("poisson", light).electrons, float)
    fat = np.asarray(window.mean("poisson", window.mean("charge_migration", light)).electrons, float)
    assert fat.sum((1, 2)) == pytest.approx(plain.sum((1, 2)), rel=1e-6)
    y = np.arange(shape[1]) - shape[1] / 2

    def width2(image):
        return (image.sum(1) * y**2).sum() / image.sum()

    widths = np.array([width2(image) for image in fat])
    assert (np.diff(widths) > 0).all()
    assert 0 < widths[-1] - width2(plain[-1]) < 0.1
    assert fat[-1, 16, 24] < plain[-1, 16, 24]


def test_steps_of_a_frame_follow_the_continuous_law():
    # the midpoint rule with few frames against many: the law is dQ/dt = F + a * exchange
    law = Boundaries(jnp.array([1e-6, 1e-6]), jnp.asarray(1e9))
    rate = jnp.asarray(star((1, 24, 24), 1000.0)[0], jnp.float64)

    @jax.jit
    def charge(steps):
        frame = 50.0 / steps
        step = lambda _, total: total + frame * law.collected(total, rate, frame)  # noqa: E731
        return jax.lax.fori_loop(0, steps, step, jnp.zeros_like(rate))

    moved = np.abs(charge(400) - 50 * np.asarray(rate)).max()
    assert moved > 100
    errors = [np.abs(charge(steps) - charge(400)).max() / moved for steps in (2, 4)]
    # the charge at the middle of a frame leaves out what moved in its first half: of second order in a Q
    assert errors[0] < 1e-6 * 50 * 1000
    assert errors[1] < 0.6 * errors[0]


def test_flat_fields_lose_variance_and_gain_covariance(chip):
    a = 2e-6
    window = chip("nirspec_prism", ngroups=4)
    frame = float(window.params.frame_time_s)
    level = 15000.0
    shape = (4, 32, 48)
    law = Boundaries(np.array([a, a], np.float32), np.float32(1e9))
    light = illuminated(np.full(shape, level / 4 / frame, np.float32), law)
    last = jax.jit(lambda seed: window.draw("poisson", light, seed)[0].electrons[-1])
    q = np.stack([np.asarray(last(seed), float) for seed in range(400)]) - level
    n = q[:, 1:-1, 1:-1].size
    variance = (q[:, 1:-1, 1:-1] ** 2).mean()
    # a frame multiplies a wave of the charge by 1 + a F dt * (its exchange with the neighbours), and adds Poisson noise
    wave = 2 * np.cos(2 * np.pi * np.arange(64) / 64)
    growth = 1 + a * level / 4 * (wave[:, None] + wave - 4)
    power = level / 4 * sum(growth ** (2 * frames) for frames in range(4))
    expected = power.mean()
    assert variance == pytest.approx(expected, rel=5 * np.sqrt(2 / n))
    assert expected < 0.95 * level
    for axis in (1, 2):
        inside = np.take(np.take(q, range(2, 30), 1), range(2, 46), 2)
        pair = (np.diff(inside, axis=axis) ** 2).mean() / 2
        difference = expected - (power * wave / 2).mean()
        assert pair == pytest.approx(difference, rel=5 * np.sqrt(3 / n))  # differences share pixels: 3, not 2
        assert difference < 0.985 * expected
    assert q.mean() == pytest.approx(0, abs=5 * np.sqrt(level / n))


def test_light_and_counts_are_those_without_it_where_nothing_moves(chip):
    window = chip("nirspec_prism", "charge_migration", charge_migration={"scale": 0.0})
    light = illuminated(star((5, 32, 48), 1e4))
    with_it, _ = window.draw("poisson", window.mean("charge_migration", light))
    without, _ = window.draw("poisson", light)
    assert (np.asarray(with_it.electrons) == np.asarray(without.electrons)).all()


def test_no_pixel_gives_more_than_it_gets():
    # full wells next to empty ones, with a shift that stops at an eighth of a pixel
    law = Boundaries(jnp.array([0.125e-3, 0.125e-3]), jnp.asarray(1e4))
    charge = jnp.asarray(np.indices((8, 8)).sum(0) % 2 * 1e4)
    rate = jnp.asarray(np.random.default_rng(0).exponential(1.0, (8, 8)) ** 4)
    collected = np.asarray(law.collected(charge, rate, 0.0))
    assert collected.min() >= 0
    assert collected.sum() == pytest.approx(float(rate.sum()))


def test_senseless_knobs_are_refused(chip):
    with pytest.raises(ValueError, match="negative"):
        chip("nirspec_prism", "charge_migration", charge_migration={"scale": -1.0})
