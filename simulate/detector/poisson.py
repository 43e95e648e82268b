"""Counting electrons: independent Poisson increments from read to read, summed to charge."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from uptheramp.simulate.effect import Effect, frame_keys
from uptheramp.simulate.state import Charge, Illumination

SWITCH = 4.0  # below: exact inverse of the distribution; above: normal expansion
TERMS = 16


def expansion(mean: Float[Array, "..."], w: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the inverse Poisson distribution at the normal deviate w, asymptotically (Giles 2016, TOMS 42)."""
    root = jnp.sqrt(mean)
    w2 = w * w
    first = 1 / 3 + w2 / 6
    second = -w * (1 / 36 + w2 / 72) / root
    third = (-8 / 405 + w2 * (7 / 810 + w2 / 270)) / mean
    return mean + root * w + first + second + third


def inverse(mean: Float[Array, "..."], w: Float[Array, "..."]) -> Float[Array, "..."]:
    """Exact inverse of the Poisson distribution for small means: the number of cumulative sums below u = Phi(w)."""
    u = jax.scipy.special.erfc(-w * 0.7071067811865476) / 2
    term = jnp.exp(-mean)
    cumulative = term
    count = (u > cumulative).astype(mean.dtype)
    for k in range(1, TERMS):
        term = term * mean / k
        cumulative = cumulative + term
        count = count + (u > cumulative)
    return count


def poisson(key: Key[Array, ""], mean: Float[Array, "..."]) -> Float[Array, "..."]:
    """Poisson numbers (float32) of the given means; a negative mean counts as zero."""
    w = jax.random.normal(key, mean.shape, jnp.float32)
    mean = jnp.maximum(mean, 0)
    small = inverse(jnp.minimum(mean, SWITCH), w)
    large = jnp.maximum(jnp.floor(expansion(jnp.maximum(mean, SWITCH), w)), 0)
    return jnp.where(mean < SWITCH, small, large)


def accumulate(increments: Float[Array, "frame y x"]) -> Float[Array, "frame y x"]:
    """Return running sum over frames; unrolled adds, which XLA fuses where `cumsum` would stop it."""
    if increments.shape[0] > 64:
        return jax.lax.scan(lambda c, x: (c + x, c + x), jnp.zeros_like(increments[0]), increments)[1]
    total, planes = jnp.zeros_like(increments[0]), []
    for plane in increments:
        total = total + plane
        planes.append(total)
    return jnp.stack(planes)


class Poisson(Effect):
    """Rate to charge."""

    name = "poisson"
    random = True

    def mean(self, state: Illumination, refs, params) -> Charge:
        """Q(read) = sum of rate * frame time, e-."""
        rate = state.rate * params.frame_time_s.astype(state.rate.dtype)
        return Charge(accumulate(rate), state.integration)

    absent = mean

    def draw(self, key, state: Illumination, refs, params) -> tuple[Charge, dict]:
        """Q(read) = sum of Poisson(rate * frame time)."""
        electrons = state.rate * params.frame_time_s.astype(state.rate.dtype)
        increments = jax.vmap(poisson)(frame_keys(key, electrons.shape[0]), electrons)
        return Charge(accumulate(increments), state.integration), {}

    def covariance(self, state: Illumination, refs, params):
        """Variance of a frame difference: its electrons; neighbours share none."""
        variance = state.rate * params.frame_time_s.astype(state.rate.dtype)
        return variance, jnp.zeros_like(variance)
