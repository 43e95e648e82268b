"""What every step promises: pure, structure kept, jit = eager, chunks = whole, finite and right gradients."""

import copy
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import gradient, pipeline, stream
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.nirspec_flat import NirspecFlat
from uptheramp.calibrate.references.photom import Photom
from uptheramp.calibrate.references.wavecorr import Wavecorr
from uptheramp.calibrate.stage2.table import DEFAULTS, TABLES
from uptheramp.calibrate.state import Rates, Spectra, take

PRISM = "NRS_BRIGHTOBJ"
NAMES = ("recommended", "jwst_3_0")  # jwst_2021 holds the same steps as jwst_3_0


def learned(made, name, state=None):
    steps = TABLES[name][PRISM]
    state = made.state if state is None else state
    params = DEFAULTS[name].get(PRISM, {})
    return steps, stream.learned(steps, state, made.library, params), params


def cut(state, first, last):
    return take(state, slice(first, last))


@pytest.mark.parametrize("name", NAMES)
def test_pure_jitted_and_float32(made, same, name):
    state = made.flagged((0, 7, 3), (4, 1, 2))
    steps, library, params = learned(made, name, state)
    before = copy.deepcopy((state, library))
    eager, _ = pipeline.run(steps, state, library, params)
    jitted, _ = pipeline.compiled(steps, state, library, params)
    same((state, library), before)
    assert isinstance(eager, Spectra)
    if eager.trace is not None:  # its zero is a place, so an absolute difference (px) says how near two are
        np.testing.assert_allclose(jitted.trace, eager.trace, atol=1e-6)
        jitted, eager = (replace(s, trace=None, trace_err=None) for s in (jitted, eager))
    same(jitted, eager, rtol=2e-6)
    floats = [leaf.dtype for leaf in jax.tree.leaves(eager) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    assert set(floats) == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", NAMES)
def test_chunks_equal_the_whole(made, same, name):
    steps, library, params = learned(made, name)
    whole, _ = pipeline.compiled(steps, made.state, library, params)
    parts = [pipeline.compiled(steps, cut(made.state, *at), library, params)[0] for at in ((0, 2), (2, 6))]
    per_integration = ("flux", "var_poisson", "var_rnoise", "var_flat", "background", "dq", "integration")
    for field in per_integration:
        joined = np.concatenate([getattr(part, field) for part in parts])
        same(joined, np.asarray(getattr(whole, field)), rtol=1e-6)


def test_image_steps_keep_the_structure(made):
    steps, library, params = learned(made, "recommended")
    state = made.state
    for step in steps[:-1]:
        after, _ = step(state, step.select(library), pipeline.params_of(step, params))
        assert isinstance(after, Rates)
        assert (after.data.shape, after.data.dtype) == (state.data.shape, state.data.dtype)
        assert (after.dq.shape, after.dq.dtype) == (state.dq.shape, state.dq.dtype)
        state = after


def test_neutral_references_change_nothing(made, same):
    shape = made.state.data.shape[-2:]
    meta = type("Meta", (), {"shape": shape, "x_size": shape[1], "y_size": shape[0]})
    steps = {step.name: step for step in TABLES["recommended"][PRISM]}
    state = replace(made.state, wavelength_um=made.library["wavemap"].wavelength_um)
    neutral = {"dflat": NirspecFlat.neutral(meta), "photom": Photom.neutral(meta), "extract1d": Extract1d.neutral(meta)}
    neutral["wavecorr"] = Wavecorr.neutral(meta)
    for step in (steps[name] for name in ("wavecorr", "flat_field", "bkg_subtract", "photom")):
        after, _ = step(state, step.select(neutral), pipeline.params_of(step, {}))
        same(jax.tree.map(np.asarray, after), state)


def target(steps, state, library, params):
    """A scalar of the spectra that weighs each element differently."""
    spectra, _ = pipeline.run(steps, state, library, params)
    tilt = 1 + 0.1 * np.arange(spectra.flux.size).reshape(spectra.flux.shape)
    planes = (spectra.flux, spectra.var_poisson, spectra.var_rnoise, spectra.var_flat)
    return sum(jnp.sum(jnp.where(jnp.isfinite(p), p, 0) * tilt) for p in planes)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_with_flagged_pixels(made, name):
    every = [(2, cross, 5) for cross in range(16)]
    state = made.flagged((0, 7, 3), (4, 1, 2), *every)
    library = dict(made.library)
    flat = library["dflat"]
    unusable = (np.arange(flat.dq.size) == 37).reshape(flat.dq.shape).astype(np.uint32)
    library["dflat"] = replace(flat, dq=unusable)
    wavelength = library["wavemap"].wavelength_um.copy()
    wavelength[(slice(None), 0) if made.axis == 1 else (0, slice(None))] = np.nan
    library["wavemap"] = replace(library["wavemap"], wavelength_um=wavelength)
    library["photom"] = replace(library["photom"], per_micron=True)
    steps, params = TABLES[name][PRISM], DEFAULTS[name].get(PRISM, {})
    library = stream.learned(steps, state, library, params)

    def of(trees):
        return target(steps, *trees, params)

    value, grads = eqx.filter_jit(gradient.value_and_grad(of))((state, library))
    assert np.isfinite(value)
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(grads)]
    assert all(np.all(np.isfinite(leaf)) for leaf in leaves)
    assert sum(np.any(leaf != 0) for leaf in leaves) >= 9


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_finite_differences(made64, name):
    made = made64
    state = made.flagged((0, 7, 3))
    steps, library, params = learned(made, name, state)
    rng = np.random.default_rng(5)
    flat, photom, aperture = library["dflat"], library["photom"], library["extract1d"]
    starts = (state.data, flat.data, photom.conversion, photom.response, aperture.lower)
    directions = [rng.normal(size=np.shape(start)) for start in starts]

    def along(t):
        data, response, conversion, curve, lower = (x + s * d for x, s, d in zip(starts, t, directions, strict=True))
        moved = {
            "dflat": replace(flat, data=response),
            "photom": replace(photom, conversion=conversion, response=curve),
            "extract1d": replace(aperture, lower=lower),
        }
        return target(steps, replace(state, data=data), library | moved, params)

    along, slopes = jax.jit(along), jax.jit(jax.grad(along))(jnp.zeros(5))
    for k in range(5):
        h = 1e-6 * np.eye(5)[k]
        numerical = float(along(h) - along(-h)) / 2e-6
        assert abs(numerical) > 1e-3
        assert float(slopes[k]) == pytest.approx(numerical, rel=2e-6)
