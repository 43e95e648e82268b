"""Derivatives of slopes and their variances by all that Stage 1 takes, against central differences in float64."""

from dataclasses import replace
from unittest.mock import patch

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.gradient import value_and_grad
from uptheramp.calibrate.kernels import ramp_gls
from uptheramp.calibrate.pipeline import params_of, run
from uptheramp.calibrate.settings import recipe
from uptheramp.calibrate.stage1.ramp_fit import RampFitParams, ramp_fit
from uptheramp.calibrate.stream import learned

CORRECTION = {"near_ir": "amplifiers", "mid_ir": "none"}
CONTINUOUS = {"refpix": ("side_gain",)}  # parameters that are no thresholds of decisions
MOVE = ("ramps", "'gain'", "'readnoise'", "'linearity'", "'dark'")  # a constant, like the bias, leaves a slope alone
STEP = 1e-6  # of the size of an array
MEDIAN_STEP = 1e-8  # of ramps whose median difference counts: another sample must not become the middle one
BRIGHT_DN = 3e4


def double(tree):
    """Every float in float64."""
    return jax.tree.map(lambda x: np.asarray(x, float) if np.asarray(x).dtype == np.float32 else x, tree)


@pytest.fixture(scope="module", params=CORRECTION)
def stage(request, exposure):
    """Steps, ramps in float64, references that differ from pixel to pixel, and parameters."""
    case = exposure(nints=2, ngroups=5, correction=CORRECTION[request.param])
    chosen = recipe("recommended", request.param, "", stages=(1,))
    data = np.asarray(case.ramps.data, float)
    ramps = replace(case.ramps, data=data)
    library = double(case.library)
    return chosen.stage1, ramps, learned(chosen.stage1, ramps, library, chosen.params), chosen.params, set(library)


def inputs(stage):
    """What is differentiated: {name: floating array}."""
    steps, ramps, library, params, given = stage
    taken = {name for step in steps for name in step.reftypes()} & given
    floats = {name: eqx.filter(library[name], eqx.is_inexact_array_like) for name in taken}
    knobs = {
        f"{step.name}.{name}": np.float64(getattr(params_of(step, params), name))
        for step in steps
        for name in CONTINUOUS.get(step.name, ())
    }
    return {"ramps": ramps.data, "references": floats, "parameters": knobs}


def loss_of(stage):
    """A sum over slopes and variances, each with a weight of its own."""
    steps, ramps, library, params, _ = stage
    weight = np.random.default_rng(0).normal(size=(3, len(ramps.data), *ramps.data.shape[-2:]))

    def loss(tree):
        known = {**library, **{n: eqx.combine(x, library[n]) for n, x in tree["references"].items()}}
        chosen = dict(params)
        for key, value in tree["parameters"].items():
            name, _, parameter = key.partition(".")
            step = next(s for s in steps if s.name == name)
            chosen[name] = replace(params_of(step, chosen), **{parameter: value})
        rates, _ = run(steps, replace(ramps, data=tree["ramps"]), known, chosen)
        planes = jnp.stack([rates.data, rates.var_poisson, rates.var_rnoise])
        return jnp.sum(jnp.where(jnp.isfinite(planes), planes, 0) * weight)

    return loss


def directions(tree, ramps):
    """For each leaf a random direction along which no flag changes: samples at the converter's ends stay."""
    rng = np.random.default_rng(3)
    held = (np.asarray(ramps.data) <= 0) | (np.asarray(ramps.data) >= 60000)
    paths, structure = jax.tree_util.tree_flatten_with_path(tree)
    for number, (path, leaf) in enumerate(paths):
        size = float(np.nanmax(np.abs(leaf), initial=0)) or 1.0
        way = np.where(np.isfinite(leaf), rng.normal(size=np.shape(leaf)), 0) * size
        if "coeffs" in jax.tree_util.keystr(path):  # every power moves a bright pixel as much
            way = way * BRIGHT_DN ** (1.0 - np.arange(len(leaf)))[:, None, None]
        way = np.where(held, 0, way) if np.shape(leaf) == np.shape(held) else way
        leaves = [way if i == number else np.zeros(np.shape(x)) for i, (_, x) in enumerate(paths)]
        yield jax.tree_util.keystr(path), jax.tree.unflatten(structure, leaves)


def compare(function, gradient, tree, ramps, ramp_step=STEP):
    """Slopes along each direction: {leaf: (by the gradient, by central differences)}."""
    found = {}
    for name, way in directions(tree, ramps):
        step = ramp_step if "ramps" in name else STEP
        moved = [float(function(jax.tree.map(lambda x, d, s=s: x + s * d, tree, way))) for s in (step, -step)]
        along = sum(
            float(np.sum(np.asarray(g) * d)) for g, d in zip(*map(jax.tree.leaves, (gradient, way)), strict=True)
        )
        found[name] = along, (moved[0] - moved[1]) / (2 * step)
    return found


def check(found):
    for name, (along, difference) in found.items():
        # the rounding of the sum, divided by the step
        np.testing.assert_allclose(along, difference, rtol=2e-5, atol=2e-4, err_msg=name)
    moving = {name for name, (_, difference) in found.items() if abs(difference) > 0.01}
    assert all(any(taken in name for name in moving) for taken in MOVE)


def test_every_reference_and_parameter_of_the_stage(stage):
    tree, loss = inputs(stage), loss_of(stage)
    _, gradient = jax.jit(value_and_grad(loss))(tree)
    assert all(np.isfinite(np.asarray(g)).all() for g in jax.tree.leaves(gradient))
    check(compare(jax.jit(loss), gradient, tree, stage[1]))


def fit_alone(exposure, algorithm, gradient, **pattern):
    """The slope fit of ramps with a jump and a saturated end, as a function of what it takes."""
    case = exposure(nints=2, ngroups=6, correction="none", **pattern)
    data = np.asarray(case.ramps.data, float)
    data += np.random.default_rng(4).uniform(-0.4, 0.4, data.shape)  # no two differences of a ramp are equal
    groupdq = np.zeros(data.shape, np.uint8)
    groupdq[1, 3, 7, 10] = flags.JUMP_DET
    groupdq[0, 4:, 8, 20] = flags.SATURATED
    groupdq[0, :, 9, 9] = flags.DO_NOT_USE
    ramps = replace(case.ramps, data=data, groupdq=groupdq)
    library = double({name: case.library[name] for name in ("gain", "readnoise", "dark")})
    params = {"ramp_fit": RampFitParams(algorithm=algorithm, gradient=gradient)}
    return (ramp_fit,), ramps, learned((ramp_fit,), ramps, library, params), params, set(library)


@pytest.mark.parametrize("algorithm", ["OLS_C", "GLS", "LIKELY", "LIKELY, averaged"])
def test_fits_with_exact_gradients(exposure, algorithm):
    algorithm, averaged, _ = algorithm.partition(", averaged")
    stage = fit_alone(exposure, algorithm, "exact", **({"nframes": 4, "groupgap": 1} if averaged else {}))
    tree, loss = inputs(stage), loss_of(stage)
    _, gradient = jax.jit(value_and_grad(loss))(tree)
    assert all(np.isfinite(np.asarray(g)).all() for g in jax.tree.leaves(gradient))
    step = MEDIAN_STEP if algorithm == "LIKELY" else STEP
    for name, (along, difference) in compare(jax.jit(loss), gradient, tree, stage[1], step).items():
        np.testing.assert_allclose(along, difference, rtol=2e-5, atol=2e-4, err_msg=name)


def test_frozen_gradients_are_those_of_the_fit_with_its_weights_held(exposure):
    stage = fit_alone(exposure, "GLS", "frozen")
    tree, loss = inputs(stage), loss_of(stage)
    _, gradient = jax.jit(value_and_grad(loss))(tree)
    kept, weights = [], ramp_gls.weights
    # all integrations at once, so that the weights can be kept
    with patch("uptheramp.calibrate.stage1.ramp_fit.one_by_one", lambda function, state: function(state)):
        with patch.object(ramp_gls, "weights", lambda *given: kept.append(weights(*given)) or kept[-1]):
            loss(tree)
        with patch.object(ramp_gls, "weights", lambda *_: kept[0]):
            found = compare(jax.jit(lambda x: loss(x)), gradient, tree, stage[1])
    for name, (along, difference) in found.items():
        np.testing.assert_allclose(along, difference, rtol=2e-5, atol=2e-4, err_msg=name)
    # they are not the exact ones: the gain moves the weights
    moving = compare(jax.jit(loss), gradient, tree, stage[1])["['references']['gain'].data"]
    assert abs(moving[0] - moving[1]) > 1e-3 * abs(moving[1])
