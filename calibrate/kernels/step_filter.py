"""The matched filter of a step in a ramp whose differences are known but for their noise.

Neighbouring differences share the noise of a group: their covariance C is tridiagonal (Brandt 2024a, PASP 136, 045004).
A hit adds its charge J to one difference k. With r the differences less their expectation the best estimate of J, and
its variance, are

    J_k = (C^-1 r)_k / (C^-1)_kk,    var J_k = 1 / (C^-1)_kk:

r_k less what the others say of it. J_k^2 / var J_k is the chi-square that a step at k saves, the statistic of Brandt
2024b (PASP 136, 045005) for a slope that is known. With D and E the forward and backward pivots of C, a its diagonal,
c its next diagonal,

    f_k = r_k - c / D_{k-1} f_{k-1},  D_k = a_k - c^2 / D_{k-1}   (and b, E from the end),
    J_k = f_k + b_k - r_k,            var J_k = D_k + E_k - a_k,

so two sweeps suffice.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def steps(
    residual: Float[Array, "difference ..."],
    informs: Bool[Array, "difference ..."],
    variance: Float[Array, "difference ..."],
    neighbour: Float[Array, "..."],
) -> tuple[Float[Array, "difference ..."], Float[Array, "difference ..."]]:
    """Charge of a step at each difference, and its variance, from that difference and those of the others that inform.

    `variance` is the diagonal of C, `neighbour` its next diagonal, the same all along the ramp.
    """
    forward, ahead = _sweep(residual, informs, variance, neighbour)
    backward, behind = (x[::-1] for x in _sweep(residual[::-1], informs[::-1], variance[::-1], neighbour))
    return forward + backward - residual, ahead + behind - variance


def _sweep(
    residual: Float[Array, "difference ..."],
    informs: Bool[Array, "difference ..."],
    variance: Float[Array, "difference ..."],
    neighbour: Float[Array, "..."],
) -> tuple[Float[Array, "difference ..."], Float[Array, "difference ..."]]:
    """Each residual less what those before it say, and its variance."""

    def advance(before, now):
        r, ok, a = now
        foretold, share = before
        left, pivot = r - share * foretold, a - neighbour * share
        return (left, jnp.where(ok, neighbour / pivot, 0)), (left, pivot)

    zero = jnp.zeros_like(residual[0])
    return jax.lax.scan(advance, (zero, zero), (residual, informs, variance))[1]
