"""The path of the telescope: what is certain in closed form, what is random in its statistics."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.simulate.effect import Params, key_of
from uptheramp.simulate.optics.expansion import expand
from uptheramp.simulate.optics.point_spread import line
from uptheramp.simulate.optics.pointing import (
    AntennaMove,
    MovingTelescope,
    PointingSettings,
    TiltEvent,
    motion,
    path,
    positions,
    reach_of,
)
from uptheramp.simulate.ramps import chain, covariance, render
from uptheramp.simulate.state import Pointing

SCALE = (0.1, 0.05)  # arcsec a pixel
EFFECT = MovingTelescope()


def params_of(settings, frame_s=0.5, cadence_s=3.0):
    return Params(np.float64(frame_s), np.float64(cadence_s), np.float64(1.0), motion(settings, SCALE))


def test_drift_offset_and_steps_in_closed_form():
    settings = PointingSettings(
        jitter_mas=0.0,
        offset_mas=(10.0, 0.0),
        drift_mas_per_h=(0.0, 3.6),
        tilt=(TiltEvent(at_s=10.25, flux=-1e-3, shift_mas=(5.0, -5.0), width=0.01),),
    )
    start = np.array([0.0, 10.0, 20.0])
    shift, width, flux = (np.asarray(a) for a in path(motion(settings, SCALE), start, np.float64(1.0)))
    after = np.array([0.0, 0.75, 1.0])  # the frame in which it tilts sees a part
    assert shift[:, 0] == pytest.approx(0.1 + 0.05 * after)
    assert shift[:, 1] == pytest.approx((start + 0.5) * 2e-5 - 0.1 * after)
    assert width == pytest.approx(0.01 * after)
    assert flux == pytest.approx(-1e-3 * after)


def test_an_antenna_move_is_averaged_over_frames():
    settings = PointingSettings(antenna=(AntennaMove(at_s=4.0, shift_mas=(100.0, 0.0), decay_s=3.0),))
    m = motion(settings, SCALE)
    fine = np.linspace(3.0, 7.0, 40001)
    jump = np.where(fine >= 4.0, np.exp(-(np.maximum(fine - 4.0, 0)) / 3.0), 0.0)
    shift, _, _ = path(m, np.array([3.0]), np.float64(4.0))
    assert float(shift[0, 0]) == pytest.approx(np.trapezoid(jump, fine) / 4.0, rel=1e-4)
    assert np.asarray(path(m, np.array([0.0, 500.0]), np.float64(1.0))[0]) == pytest.approx(np.zeros((2, 2)))


def drawn(settings, integrations, frames, seed=0):
    """Return the shifts of an exposure (integration, frame, axis), integration by integration."""
    params, key = params_of(settings), jax.random.key(seed)

    def one(memory, integration):
        state = Pointing.at_rest(frames, integration, {"pointing": memory})
        state, _ = EFFECT.draw(key_of(key, EFFECT.name, integration), state, None, params)
        return state.memory["pointing"], state.shift_px

    first = EFFECT.start(jax.random.fold_in(key, 1), params.own)
    return np.asarray(jax.jit(lambda m: jax.lax.scan(one, m, jnp.arange(integrations))[1])(first))


def test_jitter_is_white_with_its_rms():
    shift = drawn(PointingSettings(jitter_mas=2.0), 4000, 3).reshape(-1, 2)
    n = len(shift)
    for axis, rms in enumerate((0.02, 0.04)):
        x = shift[:, axis]
        assert x.std() == pytest.approx(rms, rel=4 / np.sqrt(2 * n))
        assert abs(np.mean(x[1:] * x[:-1])) < 4 * rms**2 / np.sqrt(n)


def test_wandering_forgets_exponentially_across_frames_and_resets():
    # frames of 0.5 s, three an integration, then 1.5 s of reset
    runs = [drawn(PointingSettings(0.0, wander_mas=1.0, wander_s=4.0), 2500, 3, seed) for seed in range(4)]
    shift = np.stack(runs)[..., 0] / 0.01
    assert shift.std() == pytest.approx(1.0, abs=4 * np.sqrt((1 + 2 * 4.0 / 3.0) / shift[..., 0].size))
    effective = np.sqrt(3.0 / 4.0 / shift[..., 0].size) * 4  # correlated over 4 s of 3 s cadence: four sigma
    for pair, lag_s in (((0, 1), 0.5), ((0, 2), 1.0)):
        found = np.mean(shift[..., pair[0]] * shift[..., pair[1]])
        assert found == pytest.approx(np.exp(-lag_s / 4.0), abs=0.03 + effective)
    across = np.mean(shift[:, :-1, 2] * shift[:, 1:, 0])
    assert across == pytest.approx(np.exp(-2.0 / 4.0), abs=0.03 + effective)


def test_later_frames_leave_the_earlier_draws_as_they_were():
    settings = PointingSettings(1.0, wander_mas=1.0)
    assert (drawn(settings, 1, 3)[0] == drawn(settings, 1, 5)[0, :3]).all()


def test_the_mean_keeps_the_jitter_for_the_average():
    settings = PointingSettings(3.0, wander_mas=4.0)
    state = EFFECT.mean(Pointing.at_rest(2, np.int64(0), {}), None, params_of(settings))
    assert np.asarray(state.jitter_px) == pytest.approx([0.05, 0.1])
    assert np.asarray(state.shift_px) == pytest.approx(np.zeros((2, 2)))


def test_draws_of_an_image_average_to_its_mean():
    settings = PointingSettings(3.0, wander_mas=2.0, wander_s=0.1, offset_mas=(2.0, 0.0))
    image = expand(lambda x, y: np.outer(line(9, 4.2 + y, 1.5), line(9, 3.9 + x, 1.5)), (0.3, 0.5))
    x, y = drawn(settings, 4000, 3).reshape(-1, 2).T
    weights = np.asarray(image.weights(x, y))
    images = np.tensordot(weights, image.coefficients, 1)
    state = EFFECT.mean(Pointing.at_rest(1, np.int64(0), {}), None, params_of(settings))
    (at_x, of_x), (at_y, of_y) = (positions(state, axis) for axis in (0, 1))
    expected = np.einsum("n,m,nmk->k", of_x, of_y, np.asarray(image.weights(at_x, at_y[:, 0])))
    expected = np.tensordot(expected, image.coefficients, 1)
    pull = (images.mean(0) - expected) / (images.std(0) / np.sqrt(len(images)))
    # wandering is forgotten within an integration; 81 correlated pixels, 5 sigma
    assert np.abs(pull).max() < 5
    still = np.tensordot(np.asarray(image.weights(0.02, 0.0)), image.coefficients, 1)
    assert np.abs((still - expected) / (images.std(0) / np.sqrt(len(images)))).max() > 10


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"jitter_mas": -1.0}, "negative"),
        ({"wander_s": 0.0}, "positive"),
        ({"tilt": (TiltEvent(0.0, flux=-1.0),)}, "no light"),
        ({"tilt": (TiltEvent(1e9),)}, "not in the exposure"),
        ({"antenna": (AntennaMove(-1.0, (1.0, 1.0), 1.0),)}, "not in the exposure"),
        ({"offset_mas": (1e4, 0.0)}, "turn the knobs down"),
        ({"tilt": (TiltEvent(0.0, width=0.5),)}, "turn the knobs down"),
    ],
)
def test_knobs_that_make_no_sense_are_refused_in_one_line(small, knobs, message):
    with pytest.raises(InputError, match=message) as caught:
        reach_of(small(effects=("pointing",), settings={"pointing": PointingSettings(**knobs)}))
    assert "\n" not in str(caught.value)


def test_reads_scatter_with_motion_as_the_covariance_says(small):
    knobs = PointingSettings(jitter_mas=3.0, wander_mas=4.0, wander_s=1.0)
    o = small(effects=("pointing", "flat", "nonlinearity"), settings={"pointing": knobs})
    c = jax.tree.map(jnp.asarray, render.build(o))
    shine, seeds = partial(render.illumination, c), 1000
    given = shine, c.maps, c.params, c.own, o.effects

    @jax.jit
    def one(key):
        memory = chain.start(key, c.own, o.effects)
        frames, _ = chain.draw(key, Pointing.at_rest(c.recipe.reads, jnp.asarray(0), memory), *given)
        return frames.dn[:, 2:14, 100:400:20]

    dn = np.asarray(jax.lax.map(one, jax.random.split(jax.random.key(2), seeds)), float)
    dn = dn - dn.mean(0)
    reads = covariance.of_reads(Pointing.at_rest(c.recipe.reads, jnp.asarray(0), {}), *given)
    for i, j in ((0, 0), (2, 2), (0, 2)):
        face = np.asarray(reads(jnp.asarray(i), jnp.asarray(j)))[2:14, 100:400:20]
        found, lit = (dn[:, i] * dn[:, j]).mean(0), face > 0.02 * face.max()
        # every pixel follows the same two numbers a frame: their ratios are all off alike
        assert lit.sum() > 10
        assert np.abs(found[lit] / face[lit] - 1).max() < 4.5 * np.sqrt(2 / seeds) + 0.02  # 0.02: curvature
