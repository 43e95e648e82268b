"""Flux of the system against time and wavelength, averaged over each read's exposure.

    flux = variability (1 + bare (sum_p transit_p + covered_p)) + sum_p planet_light_p

in units of the star as it is (spots included) out of transit: `bare` is the spotless star's light in that unit,
`transit` the deficit by a planet before a spotless star, `covered` what spots had taken from it already.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxoplanet.core.limb_dark import light_curve
from jaxoplanet.orbits.keplerian import Central, System
from jaxtyping import Array, Float

from uptheramp.simulate.scene.emission import Emission, planet_light
from uptheramp.simulate.scene.planet import Orbit
from uptheramp.simulate.scene.spots import Spots
from uptheramp.simulate.scene.variability import Variability

QUADRATURE_ORDER = 20  # errors below 1e-6 of the depth; the fit uses another order
NODES, WEIGHTS = np.polynomial.legendre.leggauss(3)


class Body(eqx.Module):
    """A planet: its orbit, its radius by wavelength and, where it is not dark, its own light."""

    orbit: Orbit
    radius_ratio: Float[Array, "wavelength"]
    emission: Emission | None


class LightCurve(eqx.Module):
    """What the flux of the system depends on, on a wavelength grid; `u` are polynomial limb-darkening coefficients."""

    bodies: tuple[Body, ...]
    u: Float[Array, "degree wavelength"]
    spots: Spots | None
    variability: Variability | None
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


def place(
    orbit: Orbit, time_s: Float[Array, "time"], offset_s: Float[Array, "wavelength"]
) -> tuple[Float[Array, "time wavelength"], ...]:
    """Return x, y, z at `time_s` + the read offset of each wavelength.

    The planet is moved from `time_s` along its velocity: over one frame the curvature of the orbit is below 1e-7.
    """
    at, speed = jax.jvp(lambda t: position(orbit, t), (time_s,), (jnp.ones_like(time_s),))
    x, y, z = (p[:, None] + v[:, None] * offset_s for p, v in zip(at, speed, strict=True))
    return x, y, z


def star_deficit(
    scene: LightCurve, body: Body, x: Float[Array, "..."], y: Float[Array, "..."], z: Float[Array, "..."]
) -> Float[Array, "time wavelength"]:
    """Change of the star's light by one planet, in units of the spotted star; only computed where it is near."""
    distance = jnp.sqrt(jnp.maximum(jnp.where(z > 0, x**2 + y**2, 1e4), 1e-24))

    def dimming(u: Array, b: Array, k: Array) -> Array:
        return light_curve(u, b, k, order=QUADRATURE_ORDER)

    def deficit() -> Array:
        lost = jax.vmap(dimming, in_axes=(1, 1, 0), out_axes=1)(scene.u, distance, body.radius_ratio)
        if scene.spots is None:
            return lost
        spared = jnp.where(z > 0, scene.spots.covered(x, y, body.radius_ratio), 0.0)
        return (lost + spared) * scene.spots.bare()

    away = distance.min() > 1 + body.radius_ratio.max()
    return jax.lax.cond(away, lambda: jnp.zeros_like(distance), deficit)


def instantaneous(scene: LightCurve, time_s: Float[Array, "time"]) -> Float[Array, "time wavelength"]:
    """Flux relative to the star out of transit."""
    flux = jnp.ones((len(time_s), scene.u.shape[1]))
    own = jnp.zeros_like(flux)
    for body in scene.bodies:
        x, y, z = place(body.orbit, time_s, scene.read_offset_s)
        flux = flux + star_deficit(scene, body, x, y, z)
        if body.emission is not None:
            distance = jnp.sqrt(x**2 + y**2 + 1e-24)
            own = own + planet_light(body.emission, x, z, distance, body.radius_ratio)
    if scene.variability is not None:
        flux = flux * scene.variability(time_s[:, None] + scene.read_offset_s)
    return flux + own


def mean_flux(
    scene: LightCurve, start_s: Float[Array, "read"], exposure_s: Float[Array, ""]
) -> Float[Array, "read wavelength"]:
    """Mean of the flux over start_s + offset .. start_s + offset + exposure_s, 3-point Gauss-Legendre."""
    nodes = (1 + NODES) / 2 * exposure_s
    flux = instantaneous(scene, (start_s[:, None] + nodes).ravel())
    return jnp.einsum("rnw,n->rw", flux.reshape(*start_s.shape, len(NODES), -1), jnp.asarray(WEIGHTS / 2))
