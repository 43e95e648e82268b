import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from uptheramp.calibrate.fit.orbit import FAR, eccentric_anomaly, orbit_of, separation, sky


@pytest.mark.parametrize("e", [0.0, 0.3, 0.9])
def test_kepler_equation(e):
    mean = np.linspace(-np.pi, np.pi, 101)
    anomaly = eccentric_anomaly(mean, jnp.asarray(e))
    np.testing.assert_allclose(anomaly - e * np.sin(anomaly), mean, atol=1e-13)


def test_kepler_derivatives():
    """dE/dM = 1 / (1 - e cos E) and d2E/dM2 = -e sin E / (1 - e cos E)^3."""
    e, mean = 0.4, 1.1
    root = brentq(lambda x: x - e * np.sin(x) - mean, 0, 3)
    first = jax.grad(eccentric_anomaly)(mean, e)
    second = jax.grad(jax.grad(eccentric_anomaly))(mean, e)
    assert first == pytest.approx(1 / (1 - e * np.cos(root)), rel=1e-12)
    assert second == pytest.approx(-e * np.sin(root) / (1 - e * np.cos(root)) ** 3, rel=1e-10)


def test_circular_orbit_by_hand(system):
    time = np.linspace(-0.2, 0.2, 21)
    phase = 2 * np.pi * time / system.period_d
    cos_i = np.cos(np.deg2rad(system.inclination_deg))
    z, towards = sky(time, orbit_of(system, 0.0))
    np.testing.assert_allclose(z, system.a_rs * np.hypot(np.sin(phase), cos_i * np.cos(phase)), rtol=1e-12)
    assert np.all(towards > 0)


def test_eccentric_orbit_by_hand(eccentric):
    """The distance to the star is a (1 - e^2) / (1 + e cos f), and the impact parameter is reached at t0."""
    s, time = eccentric, np.linspace(0, eccentric.period_d, 40)
    z, towards = sky(time, orbit_of(s, 0.7))
    r = np.hypot(z, towards)
    assert r.min() == pytest.approx(s.a_rs * (1 - s.eccentricity), rel=5e-3)
    assert r.max() == pytest.approx(s.a_rs * (1 + s.eccentricity), rel=5e-3)
    at, _ = sky(np.array([0.7]), orbit_of(s, 0.7))
    assert float(at[0]) == pytest.approx(s.impact, rel=1e-12)


def test_transit_and_eclipse_exclude_each_other(system):
    time = np.linspace(0, system.period_d, 1001)
    orbit = orbit_of(system, 0.0)
    front, behind = (np.asarray(separation(time, orbit, kind)) for kind in ("transit", "eclipse"))
    assert np.all((front == FAR) | (behind == FAR))
    assert time[behind.argmin()] == pytest.approx(system.period_d / 2, abs=2e-2)


@pytest.mark.parametrize("impact", [0.0, 0.4])
def test_gradients_are_finite(system, impact):
    def total(b, a_rs, t0):
        orbit = orbit_of(system, 0.0)
        orbit = type(orbit)(orbit.period_d, t0, a_rs, b, orbit.eccentricity, orbit.omega_rad)
        return separation(jnp.array([0.0, 0.01, 1.0, 2.03]), orbit, "transit").sum()

    assert np.all(np.isfinite(jax.grad(total, argnums=(0, 1, 2))(impact, 11.4, 0.0)))
