"""The transit: flux against time and wavelength, averaged over each read's exposure."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxoplanet.core.limb_dark import light_curve
from jaxoplanet.orbits.keplerian import Central, System
from jaxtyping import Array, Float

from uptheramp.simulate.scene.planet import Orbit

QUADRATURE_ORDER = 20  # errors below 1e-6 of the depth; the fit uses another order
NODES, WEIGHTS = np.polynomial.legendre.leggauss(3)


class Transit(eqx.Module):
    """What a light curve depends on, on a wavelength grid."""

    orbit: Orbit
    radius_ratio: Float[Array, "wavelength"]
    u1: Float[Array, "wavelength"]
    u2: Float[Array, "wavelength"]
    read_offset_s: Float[Array, "wavelength"]  # when the pixel that sees this wavelength is read in its frame


def position(orbit: Orbit, time_s: Float[Array, "time"]) -> Float[Array, "axis time"]:
    """Return the planet's x, y, z in stellar radii (z > 0 towards us)."""
    central = Central.from_orbital_properties(period=orbit.period_s, semimajor=orbit.a_rs, radius=1.0)
    system = System(central).add_body(
        period=orbit.period_s,
        time_transit=orbit.t0_s,
        inclination=orbit.inclination_rad,
        eccentricity=orbit.eccentricity,
        omega_peri=orbit.omega_rad,
    )
    return jnp.stack([jnp.reshape(p, time_s.shape) for p in system.relative_position(time_s)])


def separation(transit: Transit, time_s: Float[Array, "time"]) -> Float[Array, "time wavelength"]:
    """Distance of the centres, stellar radii, at `time_s` + the read offset of each wavelength; large behind the star.

    The planet is moved from `time_s` along its velocity: over one frame the curvature of the orbit is below 1e-7.
    """
    place, speed = jax.jvp(lambda t: position(transit.orbit, t), (time_s,), (jnp.ones_like(time_s),))
    x, y, z = (p[:, None] + v[:, None] * transit.read_offset_s for p, v in zip(place, speed, strict=True))
    squared = jnp.where(z > 0, x**2 + y**2, 1e4)
    return jnp.sqrt(jnp.maximum(squared, 1e-24))


def instantaneous(transit: Transit, time_s: Float[Array, "time"]) -> Float[Array, "time wavelength"]:
    """Flux relative to the bare star, quadratic limb darkening."""
    b = separation(transit, time_s)

    def dimming(u1: Array, u2: Array, b: Array, k: Array) -> Array:
        return light_curve(jnp.stack([u1, u2]), b, k, order=QUADRATURE_ORDER)

    curve = jax.vmap(dimming, in_axes=(0, 0, 1, 0), out_axes=1)
    lowest = b.min() > 1 + transit.radius_ratio.max()
    return jax.lax.cond(
        lowest,
        lambda: jnp.ones_like(b),
        lambda: 1.0 + curve(transit.u1, transit.u2, b, transit.radius_ratio),
    )


def mean_flux(
    transit: Transit, start_s: Float[Array, "read"], exposure_s: Float[Array, ""]
) -> Float[Array, "read wavelength"]:
    """Mean of the flux over start_s + offset .. start_s + offset + exposure_s, 3-point Gauss-Legendre."""
    nodes = (1 + NODES) / 2 * exposure_s
    flux = instantaneous(transit, (start_s[:, None] + nodes).ravel())
    return jnp.einsum("rnw,n->rw", flux.reshape(*start_s.shape, len(NODES), -1), jnp.asarray(WEIGHTS / 2))
