import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate.gradient import value_and_grad
from uptheramp.calibrate.instruments.core import Curve
from uptheramp.simulate.ramps import render
from uptheramp.simulate.scene.star import Star

STILL = ("reference_pixels", "superbias")


def test_the_draw_does_not_depend_on_the_chunks(everything_on):
    observation, constants, whole, end, truth = everything_on
    memory, parts, light = None, [], []
    for first in (0, 2, 4):
        data, memory, drawn = render.draw_chunk(observation, constants, first, 2, memory)
        parts.append(data)
        light.append(drawn["spectra"])
    assert (np.concatenate(parts) == whole).all()
    assert (np.asarray(memory["one_over_f"]) == np.asarray(end["one_over_f"])).all()
    assert (np.concatenate(light) == truth["spectra"]).all()


def test_a_later_chunk_needs_the_memory_of_the_one_before(everything_on):
    observation, constants, *_ = everything_on
    with pytest.raises(ValueError, match="memory"):
        render.draw_chunk(observation, constants, 2, 2)


def test_seeds_change_the_noise_and_not_the_sensor(small, everything_on):
    _, constants, data, _, _ = everything_on
    other = small(seed=1)
    again, _, _ = render.draw_chunk(other, constants, 0, other.nints)
    assert (again != data).mean() > 0.9
    assert eqx.tree_equal(render.build(other).maps, constants.maps)


def test_switching_an_effect_off_changes_no_other_draw(small):
    quiet = small(nints=3)
    table = dataclasses.replace(quiet.detector.cosmic_rays, rate_per_cm2_s=2000.0)
    observation = dataclasses.replace(quiet, detector=dataclasses.replace(quiet.detector, cosmic_rays=table))
    data, _, truth = render.draw_chunk(observation, render.build(observation), 0, observation.nints)
    effects = tuple(n for n in observation.effects if n != "cosmic_rays")
    without = dataclasses.replace(observation, effects=effects)
    plain, _, _ = render.draw_chunk(without, render.build(without), 0, without.nints)
    hits = truth["cosmic_rays"]
    struck = np.zeros((observation.nints, *observation.shape), bool)
    index, deposit = np.nonzero(hits.electrons > 0)
    struck[index, hits.y[index, deposit], hits.x[index, deposit]] = True
    assert struck.any()
    assert ((plain != data).any(axis=1) == struck)[~struck].all()
    assert (plain != data).any(axis=1)[struck].mean() > 0.5


def test_draws_average_to_the_mean(small):
    observation = small(nints=64, compression=1.0, start_bjd_tdb=59000.0, effects=("flat", "dark", "poisson",
        "nonlinearity", "superbias", "ktc", "read_noise", "reference_pixels", "adc"))  # fmt: skip
    constants = render.build(observation)
    data, _, _ = render.draw_chunk(observation, constants, 0, 64)
    twin = np.asarray(render.mean_chunk(observation, constants, 0, 1)[0])[0]
    residual = data.astype(float).mean(0) - twin
    error = data.astype(float).std(0, ddof=1) / 8
    pull = residual / error
    assert abs(pull.mean()) < 5 / np.sqrt(pull[0].size)
    assert pull.std() == pytest.approx(np.sqrt(63 / 61), abs=0.03)


def test_photon_transfer_gives_the_gain_and_a_pair_of_reads_the_noise(small):
    observation = small(nints=40, ngroups=2, star=Star(30.0), background_scale=4e3, effects=("poisson",))
    constants = render.build(observation)
    data, _, _ = render.draw_chunk(observation, constants, 0, 40)
    # without the converter the group average cuts to whole numbers: half a DN of offset, 1/12 of variance
    difference = np.diff(data.astype(float), axis=1)[:, 0]
    gain = difference.mean() / (difference.var(axis=0, ddof=1).mean() - 1 / 6)
    assert gain == pytest.approx(float(constants.maps.gain.mean()), rel=0.02)
    dark = small(nints=40, ngroups=2, star=Star(30.0), background_scale=0.0, effects=("superbias", "read_noise", "adc"))
    data, _, _ = render.draw_chunk(dark, constants := render.build(dark), 0, 40)
    pair = np.diff(data.astype(float), axis=1)[:, 0]
    single = np.asarray(constants.maps.read_noise_e / constants.maps.gain, float)
    assert pair.var(axis=0, ddof=1).mean() == pytest.approx((2 * single**2 + 1 / 6).mean(), rel=0.02)


def test_with_everything_off_ramps_are_straight_and_the_depth_is_the_truth(small, planet):
    # a uniform star, and a planet that stays in front of it: the depth is k^2 exactly
    dark_limb = Curve((0.5, 13.0), (0.0, 0.0))
    still = dataclasses.replace(planet, inclination_deg=90.0, u1=dark_limb, u2=dark_limb)
    inside = small(planet=still, compression=1.0, effects=STILL, background_scale=0.0)
    outside = small(planet=dataclasses.replace(still, t0_bjd_tdb=59788.5), compression=1.0, effects=STILL,
        background_scale=0.0)  # fmt: skip
    constants = render.build(outside)
    bright = np.asarray(render.mean_chunk(outside, constants, 0, 1)[0], float)[0]
    level = bright - constants.maps.bias_dn
    steps = np.diff(np.concatenate([np.zeros_like(level[:1]), level]), axis=0)
    assert steps == pytest.approx(np.broadcast_to(steps.mean(0), steps.shape), abs=5e-3)  # float32 on a bias of 1e4
    faint = np.asarray(render.mean_chunk(inside, render.build(inside), 2, 1)[0], float)[0]
    slope_out, slope_in = ((r[-1] - r[0]).sum(0) for r in (bright, faint))
    spectrum = constants.spectra[0]
    flux = np.asarray(spectrum.response(spectrum.photons))
    depth = np.asarray(spectrum.response(spectrum.photons * spectrum.curve.bodies[0].radius_ratio ** 2)) / np.where(
        flux, flux, 1
    )
    bins = np.array_split(np.arange(100, 400), 6)
    found = [1 - slope_in[b].sum() / slope_out[b].sum() for b in bins]
    true = [np.sum((flux * depth)[b]) / flux[b].sum() for b in bins]
    assert np.array(found) * 1e6 == pytest.approx(np.array(true) * 1e6, abs=1.0)


def test_the_compiled_mean_is_the_eager_one(everything_on):
    observation, constants, *_ = everything_on
    compiled = np.asarray(render.mean_chunk(observation, constants, 2, 1)[0])[0]
    eager = np.asarray(render.mean_integration(constants, jnp.asarray(2), observation.effects, {})[0])
    assert compiled == pytest.approx(eager, rel=1e-5, abs=0.02)


def _wide(tree):
    """Return the tree in float64, in which finite differences have digits."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float64) if jnp.asarray(x).dtype == jnp.float32 else x, tree)


@pytest.fixture(scope="module")
def frame_gradient(everything_on):
    """Return the sum of a mean integration against fixed weights as a function of the constants, and its gradient."""
    observation, constants, *_ = everything_on
    constants = _wide(constants)
    rng = np.random.default_rng(5)
    weight = rng.standard_normal((observation.ngroups, *observation.shape))

    def total(tree):
        return jnp.sum(weight * render.mean_integration(tree, jnp.asarray(3), observation.effects, {})[0])

    value, gradient = jax.jit(value_and_grad(total))(constants)
    assert np.isfinite(float(value))
    return jax.jit(total), constants, gradient


PLACES = {
    "radius ratio": lambda c: c.spectra[0].curve.bodies[0].radius_ratio,
    "limb darkening": lambda c: c.spectra[0].curve.u,
    "a/R*": lambda c: c.spectra[0].curve.bodies[0].orbit.a_rs,
    "gain": lambda c: c.maps.gain,
    "depletion": lambda c: c.maps.charge_physics.depletion,
    "source follower": lambda c: c.maps.charge_physics.follower,
    "flat": lambda c: c.maps.flat,
}


@pytest.mark.parametrize("name", PLACES)
def test_gradients_of_a_mean_frame_are_finite_differences(frame_gradient, slopes, name):
    total, constants, gradient = frame_gradient
    analytic, numeric = slopes(total, constants, gradient, PLACES[name], step=1e-5)
    assert numeric != 0
    assert analytic == pytest.approx(numeric, rel=2e-5)


def test_all_gradients_are_finite(frame_gradient):
    _, _, gradient = frame_gradient
    leaves = jax.tree.leaves(gradient)
    assert len(leaves) > 20
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in leaves)
