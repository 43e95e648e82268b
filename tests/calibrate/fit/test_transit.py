"""The transit model against an integration of the stellar disc that shares nothing with it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from uptheramp.calibrate.fit.orbit import FAR
from uptheramp.calibrate.fit.transit import eclipse_excess, exposure_mean, exposure_times, transit_deficit

U = (0.33, 0.23)


def hidden_fraction(z, k, u):
    """Flux behind a disc of radius k at distance z: integral over stellar rings of intensity times hidden arc."""

    def ring(r):
        if r <= k - z:
            arc = np.pi
        elif r <= abs(z - k):
            arc = 0.0
        else:
            arc = np.arccos(np.clip((r * r + z * z - k * k) / (2 * r * z), -1, 1))
        mu = np.sqrt(max(1 - r * r, 0.0))
        return 2 * r * arc * (1 - u[0] * (1 - mu) - u[1] * (1 - mu) ** 2)

    low, high = max(0.0, z - k), min(1.0, z + k)
    edges = sorted({low, high, *(x for x in (abs(z - k), 1 - 1e-6) if low < x < high)})
    total = sum(
        quad(ring, a, b, epsabs=1e-12, epsrel=1e-11, limit=400)[0] for a, b in zip(edges, edges[1:], strict=False)
    )
    return total / (np.pi * (1 - u[0] / 3 - u[1] / 6))


@pytest.mark.parametrize("k", [0.05, 0.1457, 0.2])
def test_brute_force(k):
    z = np.concatenate([np.linspace(1e-3, 1 + k + 0.05, 41), [1 - k, 1 - k + 1e-4, 1 + k - 1e-3]])
    expected = [-hidden_fraction(x, k, U) for x in z]
    np.testing.assert_allclose(transit_deficit(z, k**2, jnp.array(U)), expected, atol=2e-9)


def test_golden():
    """Uniform disc at the centre: exactly -k^2; quadratic law before a small planet: I(1) / mean intensity."""
    assert float(transit_deficit(0.0, 0.01, jnp.zeros(2))) == pytest.approx(-0.01, abs=1e-12)
    expected = -1e-6 / (1 - U[0] / 3 - U[1] / 6)
    assert float(transit_deficit(0.0, 1e-6, jnp.array(U))) == pytest.approx(expected, rel=1e-5)


def test_negative_depth_mirrors():
    z = np.linspace(0, 1.3, 14)
    up, down = (np.asarray(transit_deficit(z, d, jnp.array(U))) for d in (-0.01, 0.01))
    np.testing.assert_array_equal(up, -down)
    near = [float(transit_deficit(0.2, d, jnp.array(U))) for d in (-2e-8, -5e-9, 0.0, 5e-9, 2e-8)]
    assert np.all(np.diff(near) < 0) and near[2] == 0


@pytest.mark.parametrize("z", [0.0, 1e-12, 1 - 0.1, 1 + 0.1, 1.1 - 1e-10, 0.9 + 1e-10, FAR])
@pytest.mark.parametrize("depth", [0.0, 0.01, -0.01])
def test_gradients_are_finite(z, depth):
    grads = jax.grad(transit_deficit, argnums=(0, 1, 2))(z, depth, jnp.array(U))
    assert all(np.all(np.isfinite(g)) for g in grads)
    assert np.isfinite(jax.grad(eclipse_excess)(z, 1e-3, 0.1))


def test_gradient_is_the_derivative():
    z, step = np.array([0.05, 0.5, 0.95, 1.05]), 1e-6
    for z_i in z:
        slope = jax.grad(lambda d, z=z_i: transit_deficit(z, d, jnp.array(U)))(0.02)
        up, down = (float(transit_deficit(z_i, 0.02 + s, jnp.array(U))) for s in (step, -step))
        assert slope == pytest.approx((up - down) / (2 * step), rel=1e-5)


def test_eclipse_hides_all_half_none():
    assert float(eclipse_excess(0.3, 2e-3, 0.1)) == pytest.approx(0.0, abs=1e-15)
    assert float(eclipse_excess(5.0, 2e-3, 0.1)) == 2e-3
    small = float(eclipse_excess(1.0, 2e-3, 0.001))  # the limb of the star is straight for a small planet
    assert small == pytest.approx(1e-3, rel=1e-3)


def test_exposure_mean_is_the_integral():
    """A fifth-degree polynomial is averaged exactly."""
    time, exposure_s = np.array([0.0, 0.1]), jnp.asarray(8640.0)
    t = exposure_times(time, exposure_s)
    low, high = time - 0.05, time + 0.05
    exact = (high**6 - low**6) / 6 / 0.1
    np.testing.assert_allclose(exposure_mean(t**5), exact, rtol=1e-10, atol=1e-20)
