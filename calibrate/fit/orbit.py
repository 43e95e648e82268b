"""Where the planet is on the sky: Keplerian orbit to sky-projected separation."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.calibrate.fit.system import System

NEWTON_STEPS = 10  # from E = M + e sin M; enough for 1e-13 up to e = 0.9
FAR = 10.0  # stellar radii: no overlap, and no gradient


class Orbit(eqx.Module):
    """Orbital elements; `t0` in the time scale of the data, at inferior conjunction; `impact` in stellar radii."""

    period_d: Float[Array, ""]
    t0: Float[Array, ""]
    a_rs: Float[Array, ""]
    impact: Float[Array, ""]
    eccentricity: Float[Array, ""]
    omega_rad: Float[Array, ""]


def orbit_of(system: System, t0: float) -> Orbit:
    """Return the orbit of a system's table with its conjunction at `t0`."""
    omega_rad = jnp.deg2rad(jnp.asarray(system.omega_deg))
    values = (system.period_d, t0, system.a_rs, system.impact, system.eccentricity)
    return Orbit(*(jnp.asarray(v, float) for v in values), omega_rad=omega_rad)


@jax.jit
def eccentric_anomaly(mean: Float[Array, "*n"], e: Float[Array, ""]) -> Float[Array, "*n"]:
    """Solve Kepler's equation E - e sin E = M by Newton steps.

    The root is held fixed and refined twice more with gradients on: one step gives the exact first derivative, two the
    second, without differentiating the iteration.
    """

    def newton(anomaly, mean, e):
        return anomaly - (anomaly - e * jnp.sin(anomaly) - mean) / (1 - e * jnp.cos(anomaly))

    mean0, e0 = jax.lax.stop_gradient((mean, e))
    first = mean0 + e0 * jnp.sin(mean0)
    root = jax.lax.fori_loop(0, NEWTON_STEPS, lambda _, anomaly: newton(anomaly, mean0, e0), first)
    return newton(newton(jax.lax.stop_gradient(root), mean, e), mean, e)


def sky(time: Float[Array, "*n"], orbit: Orbit) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """Return the sky-projected separation z and the position towards the observer, both in stellar radii.

    With f the true anomaly, r = a (1 - e^2) / (1 + e cos f), t = omega + f (Winn 2010, eqs. 2-5):
    x = -r cos t, y = -r sin t cos i, towards us r sin t sin i; conjunction at t = pi/2.
    """
    e, omega = orbit.eccentricity, orbit.omega_rad
    root = jnp.sqrt((1 - e) / (1 + e))
    half = 0.5 * (0.5 * jnp.pi - omega)
    at_conjunction = 2 * jnp.arctan2(root * jnp.sin(half), jnp.cos(half))
    mean = at_conjunction - e * jnp.sin(at_conjunction) + 2 * jnp.pi * (time - orbit.t0) / orbit.period_d
    mean = mean - 2 * jnp.pi * jnp.round(jax.lax.stop_gradient(mean) / (2 * jnp.pi))
    anomaly = eccentric_anomaly(mean, e)
    cos_f_r = orbit.a_rs * (jnp.cos(anomaly) - e)
    sin_f_r = orbit.a_rs * jnp.sqrt(1 - e**2) * jnp.sin(anomaly)
    x = -(cos_f_r * jnp.cos(omega) - sin_f_r * jnp.sin(omega))
    forward = cos_f_r * jnp.sin(omega) + sin_f_r * jnp.cos(omega)
    cos_i = orbit.impact * (1 + e * jnp.sin(omega)) / (orbit.a_rs * (1 - e**2))
    y = -forward * cos_i
    z2 = x**2 + y**2
    centred = z2 == 0  # flux is even in z: its derivative there is zero
    z = jnp.where(centred, 0.0, jnp.sqrt(jnp.where(centred, 1.0, z2)))
    return z, forward * jnp.sqrt(jnp.maximum(1 - cos_i**2, 0.0))


def separation(time: Float[Array, "*n"], orbit: Orbit, kind: str) -> Float[Array, "*n"]:
    """Return z where planet and star can hide each other, else far: in front for "transit", behind for "eclipse"."""
    z, towards = sky(time, orbit)
    on_side = towards > 0 if kind == "transit" else towards < 0
    near = on_side & (z < FAR)
    return jnp.where(near, z, FAR)
