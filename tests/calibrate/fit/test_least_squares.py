import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest

from uptheramp.calibrate.fit.curve import with_jacobian
from uptheramp.calibrate.fit.least_squares import Evaluation, from_bounded, minimise, to_bounded


def rosenbrock(x):
    return jnp.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def peak(x):
    t = jnp.linspace(-3, 3, 50)
    data = 2.0 * jnp.exp(-((t - 0.3) ** 2)) + 0.01 * jnp.sin(37 * t)
    return (x[0] * jnp.exp(-((t - x[1]) ** 2) / x[2] ** 2) - data) / 0.01


def solved(residuals, x0):
    return minimise(lambda x: Evaluation(*with_jacobian(residuals, x), ()), jnp.asarray(x0))


@pytest.mark.parametrize(("problem", "x0"), [(rosenbrock, [-1.2, 1.0]), (peak, [1.0, 0.0, 1.4])])
def test_agrees_with_optimistix(problem, x0):
    ours = solved(problem, x0)
    theirs = optx.least_squares(
        lambda x, _: problem(x), optx.LevenbergMarquardt(rtol=1e-10, atol=1e-10), jnp.asarray(x0), max_steps=500
    )
    assert ours.converged
    np.testing.assert_allclose(ours.x, theirs.value, rtol=1e-5)


def test_failure_is_a_value():
    bad = jax.vmap(lambda c: minimise(lambda x: Evaluation(*with_jacobian(lambda x: c * (x - 1), x), ()), jnp.zeros(1)))
    out = bad(jnp.array([1.0, jnp.nan]))
    assert out.converged.tolist() == [True, False]
    assert float(out.x[0, 0]) == pytest.approx(1.0)


def test_ends_on_a_bound():
    """The unbounded optimum, 2, is outside of 0..1: the fit ends on 1 and says so."""
    zero, one = jnp.zeros(1), jnp.ones(1)
    out = solved(lambda x: 100 * (to_bounded(x, zero, one) - 2), [0.3])
    assert out.converged
    assert float(to_bounded(out.x, zero, one)[0]) == pytest.approx(1.0, abs=1e-6)


def test_bounds_round_trip():
    lower, upper = jnp.array([0.0, -jnp.inf, 1.0]), jnp.array([1.0, jnp.inf, 1000.0])
    p = jnp.array([0.2, -5.0, 11.4])
    np.testing.assert_allclose(to_bounded(from_bounded(p, lower, upper), lower, upper), p, rtol=1e-12)
    assert np.all(np.isfinite(jax.jacfwd(lambda x: to_bounded(x, lower, upper))(jnp.zeros(3))))
