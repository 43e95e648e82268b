"""Jumps in part: they tend to the hard decision, and can be differentiated."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import ramp_gls
from uptheramp.calibrate.stage1.jump import JumpParams, JumpRefs, jump, learn_differences
from uptheramp.calibrate.stage1.ramp_fit import RampFitParams, RampFitRefs, RateTemplate, ramp_fit


@pytest.fixture(scope="module")
def case(exposure):
    """Ramps in float64 with hits from faint to large, some on neighbouring groups, and what is learned from them."""
    made = exposure(nints=12, ngroups=5, correction="none", seed=4)
    rng = np.random.default_rng(2)
    data = made.ramps.data.astype(float)
    for integration, group, y, x in zip(*(rng.integers(0, m, 60) for m in (12, 5, 12, 32)), strict=True):
        data[integration, group:, y, x] += rng.exponential(60.0)
    ramps = eqx.tree_at(lambda r: r.data, made.ramps, data)
    gain, readnoise = jax.tree.map(lambda x: np.asarray(x, float), (made.library["gain"], made.library["readnoise"]))
    params = JumpParams(expectation="series", rejection_threshold=4.5)
    refs = JumpRefs(gain, readnoise, None)
    refs = replace(refs, difference_template=jax.jit(lambda r: learn_differences(r, refs, params))(ramps))
    template = RateTemplate(jnp.asarray(made.rate_dn_s / ramps.group_time_s))
    return ramps, refs, params, template


@eqx.filter_jit
def slopes(ramps, refs, params, template):
    state, _ = jump(ramps, refs, params)
    return ramp_fit(state, RampFitRefs(refs.gain, refs.readnoise, None, template), RampFitParams("GLS"))[0], state


def test_tends_to_the_hard_decision(case):
    ramps, refs, params, template = case
    hard, flagged = slopes(ramps, refs, params, template)
    assert 15 < ((np.asarray(flagged.groupdq) & flags.JUMP_DET) != 0).sum() < 200
    gap = []
    for temperature in (0.3, 0.1, 0.01, 1e-5):
        chosen = replace(params, decision="soft", temperature=jnp.asarray(temperature))
        soft, _ = slopes(ramps, refs, chosen, template)
        np.testing.assert_array_equal(np.isfinite(soft.data), np.isfinite(hard.data))
        gap.append(np.nanmean(np.abs(soft.data - hard.data) / hard.err))
    assert gap == sorted(gap, reverse=True)
    assert gap[0] > 1e-4
    # what remains is rounding: the closed form of the hard weights against sweeps
    np.testing.assert_allclose(soft.data, hard.data, rtol=1e-9)
    for name in ("var_poisson", "var_rnoise"):
        np.testing.assert_allclose(getattr(soft, name), getattr(hard, name), rtol=1e-7)


@pytest.mark.parametrize(("nframes", "poisson"), [(1, 40.0), (4, 40.0), (8, 4000.0)])
def test_soft_weights_are_those_of_noisier_differences(nframes, poisson):
    rng = np.random.default_rng(8)
    n, spacing, read = 7, 3.0, 90.0 / nframes
    delay = ramp_gls.averaging_delay(nframes, jnp.asarray(spacing / 10))
    keep = rng.random(n)
    b = read - poisson * float(delay)
    a = 2 * b + poisson * spacing
    covariance = a * np.eye(n) - b * (np.eye(n, k=1) + np.eye(n, k=-1)) + np.diag(a * (1 - keep) / keep)
    found = ramp_gls.soft_weights(jnp.asarray(keep), poisson, read, spacing, delay)
    np.testing.assert_allclose(found, np.linalg.solve(covariance, np.ones(n)), rtol=1e-10)
    whole = np.array([1, 1, 0, 1, 1, 1, 0], bool)
    expected = ramp_gls.weights(jnp.asarray(whole), poisson, read, spacing, delay)
    found = ramp_gls.soft_weights(jnp.asarray(whole, float), poisson, read, spacing, delay)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_gradients_are_those_of_finite_differences(case):
    ramps, refs, params, template = case
    rng = np.random.default_rng(1)
    weight = jnp.asarray(rng.normal(size=(12, *ramps.data.shape[-2:])))
    given = {
        "data": jnp.asarray(ramps.data),
        "gain": jnp.asarray(refs.gain.data),
        "readnoise": jnp.asarray(refs.readnoise.data),
        "threshold": jnp.asarray(4.5),
        "temperature": jnp.asarray(0.5),
    }
    direction = {name: jnp.asarray(rng.normal(size=x.shape)) * 1e-2 for name, x in given.items()}

    @eqx.filter_jit
    def total(values):
        these = eqx.tree_at(lambda r: r.data, ramps, values["data"])
        own = eqx.tree_at(lambda r: (r.gain.data, r.readnoise.data), refs, (values["gain"], values["readnoise"]))
        chosen = replace(
            params, decision="soft", rejection_threshold=values["threshold"], temperature=values["temperature"]
        )
        rates, _ = slopes(these, own, chosen, template)
        return jnp.where(jnp.isfinite(rates.data), weight * rates.data, 0).sum()

    gradient = eqx.filter_jit(jax.grad(total))(given)
    for name in given:
        assert np.isfinite(gradient[name]).all()
        step = 1e-3
        up, down = (total({**given, name: given[name] + s * step * direction[name]}) for s in (1, -1))
        slope = float((up - down) / (2 * step))
        assert slope != 0
        np.testing.assert_allclose((gradient[name] * direction[name]).sum(), slope, rtol=1e-5, err_msg=name)


def test_what_cannot_be_soft_is_refused(case):
    ramps, refs, params, template = case
    with pytest.raises(InputError, match="expectation=series"):
        learn_differences(ramps, refs, JumpParams(decision="soft"))
    state = replace(ramps, keep=jnp.ones((12, 4, *ramps.data.shape[-2:])))
    with pytest.raises(InputError, match="choose GLS"):
        ramp_fit(state, RampFitRefs(refs.gain, refs.readnoise, None, template), RampFitParams("OLS_C"))
