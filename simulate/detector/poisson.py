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
    """Rate to charge, read by read; where boundaries move, with the charge that is already there."""

    name = "poisson"
    random = True

    def mean(self, state: Illumination, refs, params) -> Charge:
        """Q(read) = sum of rate * frame time, e-."""
        return _accumulated(state, params, state.rate, lambda plane, electrons: electrons)

    absent = mean

    def draw(self, key, state: Illumination, refs, params) -> tuple[Charge, dict]:
        """Q(read) = sum of Poisson(rate * frame time)."""
        keys = frame_keys(key, state.rate.shape[0])
        return _accumulated(state, params, keys, lambda key, electrons: poisson(key, electrons, params.mirror)), {}

    def covariance(self, state: Illumination, refs, params, i, j):
        """Return the electrons that both reads hold: the charge at the earlier one, e-^2.

        Where boundaries move, what a pixel holds turns light away: V(k + 1) = (1 + g)^2 V(k) + electrons of the frame,
        g the feedback, and later reads remember V(i) by the product of 1 + g. Of first order: the covariance of
        neighbours, which feeds back in turn, is left out.
        """
        charge = self.mean(state, refs, params).electrons
        if state.boundaries is None:
            return charge[jnp.minimum(i, j)]
        frame_time_s = params.frame_time_s.astype(state.rate.dtype)
        reads = jnp.arange(len(charge))

        def read(carried: tuple[Array, Array], frame: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], None]:
            own, both = carried
            number, rate, gained = frame
            kept = 1 + state.boundaries.feedback(rate, frame_time_s)
            own = jnp.where(number <= jnp.minimum(i, j), kept**2 * own + gained, own)
            both = jnp.where(
                number <= jnp.minimum(i, j), own, jnp.where(number <= jnp.maximum(i, j), kept * both, both)
            )
            return (own, both), None

        gained = jnp.diff(charge, axis=0, prepend=jnp.zeros_like(charge[:1]))
        nothing = jnp.zeros_like(charge[0])
        return jax.lax.scan(read, (nothing, nothing), (reads, state.rate, gained))[0][1]


def _accumulated(state: Illumination, params, given: Array, count) -> Charge:
    """Charge at each read; `count(given of a frame, electrons expected in it)` is what a frame adds."""
    frame_time_s = params.frame_time_s.astype(state.rate.dtype)

    # frame by frame: a running sum over an array of all frames would make XLA draw its frames over and over
    def read(total: Array, frame: tuple[Array, Array]) -> tuple[Array, Array]:
        now, rate = frame
        if state.boundaries is not None:
            rate = state.boundaries.collected(total, rate, frame_time_s)
        total = total + count(now, rate * frame_time_s)
        return total, total

    charge = jax.lax.scan(read, jnp.zeros_like(state.rate[0]), (given, state.rate))[1]
    return Charge(charge, state.integration, state.memory)
