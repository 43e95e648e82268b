"""The flux of a star with a planet in front of it or behind it."""

import jax.numpy as jnp
import numpy as np
from jaxoplanet.core.limb_dark import light_curve
from jaxtyping import Array, Float

ORDER = 15  # of jaxoplanet's quadrature: 3e-9 of the flux at rp/R* = 0.145 (order 10: 2e-7)
NODES = 5  # Gauss-Legendre nodes within one exposure
DAY_S = 86400.0
SMALLEST_DEPTH = 1e-8  # below it the deficit is linear in the depth, through zero


def exposure_times(
    time: Float[Array, "time"], exposure_s: Float[Array, ""], nodes: int = NODES
) -> Float[Array, "time node"]:
    """Return the times (d) within each exposure, at the nodes of the Gauss-Legendre rule."""
    x, _ = np.polynomial.legendre.leggauss(nodes)
    return time[:, None] + x * exposure_s / (2 * DAY_S)


def exposure_mean(flux: Float[Array, "time node"]) -> Float[Array, "time"]:
    """Average over the exposure: half the weights of the Gauss-Legendre rule."""
    _, weight = np.polynomial.legendre.leggauss(flux.shape[-1])
    return flux @ jnp.asarray(weight / 2)


def transit_deficit(z: Float[Array, "*n"], depth: Float[Array, ""], u: Float[Array, "2"]) -> Float[Array, "*n"]:
    """Return the change of relative flux by a planet of area ratio `depth` = (rp/R*)^2 at separation z.

    Quadratic limb darkening by Green's theorem (Agol, Luger & Foreman-Mackey 2020). A negative depth mirrors the curve,
    so that fits of noise scatter about zero without bias.
    """
    size = jnp.maximum(jnp.abs(depth), SMALLEST_DEPTH)
    sign = jnp.where(jnp.abs(depth) > SMALLEST_DEPTH, jnp.sign(depth), depth / SMALLEST_DEPTH)
    return sign * light_curve(u, z, jnp.sqrt(size), order=ORDER)


def eclipse_excess(z: Float[Array, "*n"], depth: Float[Array, ""], rp_rs: Float[Array, ""]) -> Float[Array, "*n"]:
    """Return the flux of a uniform planet disc not hidden by the star, in units of the star's; `depth` = Fp / F*.

    The hidden fraction is the overlap of two discs over the planet's area: the deficit of a uniform star over rp_rs^2.
    """
    overlap = light_curve(jnp.zeros(0), z, rp_rs, order=ORDER)
    return depth * (1 + overlap / rp_rs**2)
