"""The tones of the interference in MIRI's read-out as a model of all the numbers of an exposure.

    D_ia = m_a + W sum_k A_k sin 2 pi (f_k t + phi_k) + noise,    f_k = h_k f (1 + x)

for integration i and difference a of each pixel; t counts from the start of the exposure, W takes reads to differences
of groups. m_a is free in every pixel, so neither light, dark, bias nor residue of the reset need be known; what repeats
in every integration is lost with it. x is one number for a fundamental and its harmonics. The likelihood is normal with
the covariance of the chain in every pixel, without 1/f noise.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels import small_matrix
from uptheramp.scenarios.systematics import exposures, forward
from uptheramp.scenarios.systematics.exposures import RampSet
from uptheramp.scenarios.systematics.fit_file import EmiBlock
from uptheramp.simulate.detector import emi
from uptheramp.simulate.detector.emi import Tones
from uptheramp.simulate.detector.maps import reference_pixels
from uptheramp.simulate.ramps.render import Constants


class Ramps(eqx.Module):
    """Differences of one exposure and their model; time from the start of the exposure."""

    data: Float[Array, "integration difference y x"]
    kept: Bool[Array, "integration y x"]
    half: Float[Array, "y x difference difference"]  # inverse Cholesky factor of the covariance of each pixel
    sensor: Constants
    offset_s: Float[Array, "y x"]
    frequency_hz: Float[Array, "tone"]
    fundamental: tuple[int, ...] = eqx.field(static=True)  # number of that of each tone
    first_integration: int = eqx.field(static=True)
    first_group: int = eqx.field(static=True)

    @property
    def number(self) -> Float[Array, "integration"]:
        """Numbers of the integrations in the exposure."""
        return self.first_integration + jnp.arange(len(self.data))


def prepared(ramps: RampSet, model: tuple[str, ...], block: EmiBlock, first_group: int) -> Ramps:
    """Differences, hits left out, and their covariance in every pixel at its own rate, without 1/f noise."""
    o = ramps.observation
    table = o.detector.emi
    assert table is not None
    used = ramps.data[block.skip_integrations :, first_group:].astype(float)
    differences = np.diff(used, axis=1)
    kept = exposures.clean(differences) & ~reference_pixels(o.shape, o.readout)
    count = np.maximum(kept.sum(0), 1)
    mean = np.where(kept[:, None], differences, 0).sum(0).mean(0) / count
    gain, span_s = o.detector.gain_e_per_dn, o.readout.frames_per_group * o.subarray.frame_time_s
    noise = forward.nominal(o, tuple(name for name in model if name != "one_over_f"), o.shape)
    lit = forward.under(noise, jnp.maximum(mean, 0) * gain / span_s)
    half = small_matrix.whitening(jnp.moveaxis(_spread(lit, first_group), (0, 1), (-2, -1)))
    return Ramps(
        data=differences,
        kept=kept,
        half=half,
        sensor=forward.nominal(o, ("emi",), o.shape),
        offset_s=emi.offsets_s(o),
        frequency_hz=np.asarray(table.frequency_hz),
        fundamental=fundamentals(table.frequency_hz),
        first_integration=block.skip_integrations,
        first_group=first_group,
    )


_spread = eqx.filter_jit(forward.spread)


def fundamentals(frequency_hz: tuple[float, ...]) -> tuple[int, ...]:
    """Number of the fundamental of each tone; a tone is a harmonic if it is a whole multiple of one before."""
    found: list[float] = []
    numbers = []
    for f in frequency_hz:
        number = next((n for n, base in enumerate(found) if np.isclose(f / base, round(f / base))), len(found))
        found += [f] * (number == len(found))
        numbers.append(number)
    return tuple(numbers)


def tones(x: Float[Array, "parameter"], v: Ramps) -> Tones:
    """The tones of parameters: amplitudes, phases, then ppm of the fundamentals."""
    n = len(v.fundamental)
    frequency = v.frequency_hz * (1 + 1e-6 * x[2 * n :][jnp.asarray(v.fundamental)])
    return Tones(frequency, x[n : 2 * n], x[:n], emi.parts(frequency, v.offset_s, jnp))


def whitened(x: Float[Array, "parameter"], number: Array, v: Ramps) -> Float[Array, "difference y x"]:
    """Expected tones in one integration, in units of the noise."""
    sensor = eqx.tree_at(lambda c: c.own["emi"], v.sensor, tones(x, v))
    return _white(forward.differences(sensor, v.first_group, number), v)


def _white(differences: Float[Array, "difference y x"], v: Ramps) -> Array:
    return jnp.einsum("yxab,byx->ayx", v.half, differences)


def _mean(total: Array, v: Ramps) -> Array:
    """Mean over the kept integrations of each pixel."""
    return total / jnp.maximum(v.kept.sum(0), 1)


def _residual(x: Array, given: tuple[Array, Array, Array], v: Ramps) -> Float[Array, "difference y x"]:
    data, kept, number = given
    return jnp.where(kept, _white(data, v) - whitened(x, number, v), 0)


class Normal(NamedTuple):
    """Of each integration: information and score; of all: what the free means take away of it, and chi-square."""

    information: Float[Array, "integration parameter parameter"]
    score: Float[Array, "integration parameter"]
    lost: Float[Array, "parameter parameter"]
    chi_square: Float[Array, ""]

    @property
    def total(self) -> Float[np.ndarray, "parameter parameter"]:
        """Information of the exposure."""
        return np.asarray(self.information.sum(0) - self.lost)

    @property
    def slope(self) -> Float[np.ndarray, "parameter"]:
        """Derivative of ln L, the free means at their best."""
        return np.asarray(self.score.sum(0))


@eqx.filter_jit
def normal(x: Float[Array, "parameter"], at: Float[Array, "parameter"], v: Ramps) -> Normal:
    """Slopes of the expectation at x, and the residuals `at` another point about their mean over the integrations."""
    each = (v.data, v.kept, v.number)
    middle = _mean(_sum(lambda given: _residual(at, given, v), each, v.data.shape[1:]), v)

    def one(given: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        r = jnp.where(given[1], _residual(at, given, v) - middle, 0)
        slope = _slope(x, given, v)
        return jnp.einsum("ayxp,ayxq->pq", slope, slope), jnp.einsum("ayx,ayxp->p", r, slope), jnp.sum(r**2)

    information, score, squares = jax.lax.map(one, each)
    total = _sum(lambda given: _slope(x, given, v), each, (*v.data.shape[1:], len(x)))
    mean = total / jnp.maximum(v.kept.sum(0), 1)[..., None]
    return Normal(information, score, jnp.einsum("ayxp,ayxq->pq", total, mean), squares.sum())


def _slope(x: Array, given: tuple[Array, Array, Array], v: Ramps) -> Float[Array, "difference y x parameter"]:
    _, kept, number = given
    return jnp.where(kept[..., None], jax.jacfwd(whitened)(x, number, v), 0)


def _sum(term: Callable, each: tuple[Array, Array, Array], shape: tuple[int, ...]) -> Array:
    return jax.lax.scan(lambda total, given: (total + term(given), None), jnp.zeros(shape), each)[0]


@eqx.filter_jit
def of_reads(x: Array, direction: Array, residual: Array, v: Ramps) -> Float[Array, "integration group y x"]:
    """What each number read adds to the score, D^T C^-1 J about the mean, J the slope along `direction`.

    To J the residuals are added, times `residual`: along no direction and times 1 it is their own spectrum.
    """

    def one(given: tuple[Array, Array, Array]) -> Array:
        _, kept, number = given
        along = jax.jvp(lambda y: whitened(y, number, v), (x,), (direction,))[1]
        return jnp.where(kept, along, 0) + residual * _residual(x, given, v)

    each = (v.data, v.kept, v.number)
    middle = _mean(_sum(one, each, v.data.shape[1:]), v)

    def back(given: tuple[Array, Array, Array]) -> Array:
        white = jnp.where(given[1], one(given) - middle, 0)
        weight = jnp.einsum("yxab,ayx->byx", v.half, white)
        return -jnp.diff(jnp.pad(weight, ((1, 1), (0, 0), (0, 0))), axis=0)

    return jax.lax.map(back, each)
