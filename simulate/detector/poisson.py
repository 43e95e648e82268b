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


def poisson(
    key: Key[Array, ""], mean: Float[Array, "..."], mirror: Float[Array, ""] | float = 1.0
) -> Float[Array, "..."]:
    """Poisson numbers (float32) of the given means; a negative mean counts as zero.

    `mirror` = -1 takes the opposite quantile of each draw: as good a draw, and the other's antithesis.
    """
    w = mirror * jax.random.normal(key, mean.shape, jnp.float32)
    mean = jnp.maximum(mean, 0)
    small = inverse(jnp.minimum(mean, SWITCH), w)
    large = jnp.maximum(jnp.floor(expansion(jnp.maximum(mean, SWITCH), w)), 0)
    return jnp.where(mean < SWITCH, small, large)


class Poisson(Effect):
    """Rate to charge."""

    name = "poisson"
    random = True

    def mean(self, state: Illumination, refs, params) -> Charge:
        """Q(read) = sum of rate * frame time, e-."""
        electrons = state.rate * params.frame_time_s.astype(state.rate.dtype)

        def read(total: Array, plane: Array) -> tuple[Array, Array]:
            return total + plane, total + plane

        return Charge(jax.lax.scan(read, jnp.zeros_like(electrons[0]), electrons)[1], state.integration, state.memory)

    absent = mean

    def draw(self, key, state: Illumination, refs, params) -> tuple[Charge, dict]:
        """Q(read) = sum of Poisson(rate * frame time)."""
        electrons = state.rate * params.frame_time_s.astype(state.rate.dtype)

        # frame by frame: a running sum over an array of all frames would make XLA draw its frames over and over
        def read(total: Array, frame: tuple[Array, Array]) -> tuple[Array, Array]:
            total = total + poisson(*frame, params.mirror)
            return total, total

        frames = frame_keys(key, electrons.shape[0]), electrons
        return Charge(jax.lax.scan(read, jnp.zeros_like(electrons[0]), frames)[1], state.integration, state.memory), {}

    def covariance(self, state: Illumination, refs, params, i, j):
        """Return the electrons that both reads hold: the charge at the earlier one, e-^2."""
        return self.mean(state, refs, params).electrons[jnp.minimum(i, j)]
