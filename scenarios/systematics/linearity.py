"""Non-linearity by pixel, from flat ramps at several fluxes.

The law is not the simulator's: a series in the charge Q, of which nothing is asked but that it is smooth,

    S = Q (1 - sum_n a_n (Q / W)^n),

through the forward model's mean. Each pixel has its a_n and, at each flux, a rate of its own, so neither lamp nor flat
field need be known. Differences of groups are normal about that mean with the covariance of the whole chain, taken at
the estimate and again at what came of it; the LINEARITY polynomial is then fitted to noise-free ramps of the series.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.fit.least_squares import Evaluation, minimise
from uptheramp.calibrate.kernels import small_matrix
from uptheramp.scenarios.systematics import forward
from uptheramp.scenarios.systematics.fit_file import LinearityBlock
from uptheramp.simulate.calibration.linearity import FITTED_FILL, in_dn
from uptheramp.simulate.calibration.linearity import fit as fit_flat_ramp
from uptheramp.simulate.calibration.programme import FLAT_READS, FlatRamp
from uptheramp.simulate.ramps.render import Constants

BLOCK = 4096  # pixels solved at a time, to bound memory
WEIGHINGS = 2  # how often the covariance is taken anew
NEWTON = 20
STEPS = 25  # of the search: all pixels of a block go on until the slowest has ended
OUT = 1e8  # factor on the variance of a difference that is not used


class Series(eqx.Module):
    """S = Q (1 - sum_n a_n (Q / W)^n), electrons."""

    terms: Float[Array, "n ..."]
    well_e: Float[Array, ""]

    def __call__(self, charge: Float[Array, "..."], scale: Float[Array, "..."]) -> Float[Array, "..."]:
        """Signal of a charge; `scale` is 1 where there is light, 0 in reference pixels."""
        fill, lost = charge / self.well_e, jnp.zeros_like(charge)
        for term in self.terms[::-1]:
            lost = (lost + term) * fill
        return charge * (1 - scale * lost)


class PixelFit(NamedTuple):
    """What was found in each pixel. `value` holds the a_n, then the rates (e-/s) at each flux.

    `fisher` is without the priors, in units of them (a_n) and of the rates; `error` and `laplace` are with them.
    """

    value: Float[np.ndarray, "parameter pixel"]
    covariance: Float[np.ndarray, "parameter parameter pixel"]
    laplace: Float[np.ndarray, "parameter pixel"]  # errors from the curvature of the likelihood itself
    fisher: Float[np.ndarray, "parameter parameter pixel"]
    chi_square: Float[np.ndarray, "pixel"]
    freedom: Float[np.ndarray, "pixel"]
    converged: Bool[np.ndarray, "pixel"]
    residual: Float[np.ndarray, "difference pixel"]  # DN, all fluxes one after the other; NaN where not used
    whitened: Float[np.ndarray, "difference pixel"]  # of unit variance where the model is right

    @property
    def error(self) -> Float[np.ndarray, "parameter pixel"]:
        """Fisher errors."""
        return np.sqrt(np.einsum("iip->ip", self.covariance))


def fit(
    model: Constants,
    mean: Float[np.ndarray, "level difference pixel"],
    count: Float[np.ndarray, "level pixel"],
    darks: Float[np.ndarray, "pixel"],
    block: LinearityBlock,
    first_group: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PixelFit:
    """Fit every pixel; `model` is one pixel (forward.py), `mean` and `count` are the statistics of each flux.

    `darks` counts the integrations of the dark that was subtracted, whose noise is added (0: none was).
    """
    pixels = mean.shape[-1]
    size = min(BLOCK, pixels)
    out = []
    for start in range(0, pixels, size):
        # the last block repeats earlier pixels, so that one program serves all
        take = np.arange(start, start + size) % pixels
        found = _block(model, mean[..., take], count[..., take], darks[take], block, first_group)
        out.append(jax.tree.map(lambda a, start=start: np.asarray(a)[..., : pixels - start], found))
        progress(min(start + size, pixels), pixels)
    return PixelFit(*(np.concatenate(parts, axis=-1) for parts in zip(*out, strict=True)))


@eqx.filter_jit
def _block(model: Constants, mean: Array, count: Array, darks: Array, block: LinearityBlock, first_group: int):
    one = partial(_pixel, model, block=block, first_group=first_group)
    return jax.vmap(one, in_axes=-1, out_axes=-1)(mean, count, darks)


def _pixel(
    model: Constants, mean: Array, count: Array, darks: Array, *, block: LinearityBlock, first_group: int
) -> PixelFit:
    """Fit one pixel: least squares of whitened residuals and priors. The rates are sought as logarithms."""
    terms, levels = block.terms, len(mean)
    usable = jax.vmap(lambda d: _usable(model, d, first_group))(mean) & (count > 1)[:, None]

    def sensor(x: Array, log_rate: Array) -> Constants:
        law = Series(x[:terms, None, None], jnp.asarray(model.maps.well_e, float))
        return forward.under(forward.with_physics(model, law), jnp.exp(log_rate).reshape(1, 1))

    def expected(x: Array) -> Array:
        each = jax.vmap(lambda log_rate: forward.differences(sensor(x, log_rate), first_group)[:, 0, 0])
        return each(x[terms:])

    noise_of_dark = jnp.where(darks > 0, 1 / jnp.maximum(darks, 1), 0) * forward.spread(model, first_group)[:, :, 0, 0]

    def whitening(x: Array) -> Array:
        """Inverse Cholesky factor of the covariance of the mean differences, by flux."""

        def one(log_rate: Array, use: Array, n: Array) -> Array:
            spread = forward.spread(sensor(x, log_rate), first_group)[:, :, 0, 0]
            spread = spread + jnp.diag(jnp.where(use, 0, OUT * jnp.diagonal(spread)))
            factor = small_matrix.cholesky(spread / jnp.maximum(n, 1) + noise_of_dark)
            return small_matrix.inverse_of_factor(factor)

        return jax.vmap(one)(x[terms:], usable, count)

    def residuals(x: Array, factors: Array) -> Array:
        white = jnp.einsum("lij,lj->li", factors, mean - expected(x))
        return jnp.concatenate([white.ravel(), (x[:terms] - block.prior_mean) / block.prior_sd])

    def weigh(x: Array, _: None) -> tuple[Array, tuple[Array, Array]]:
        factors = whitening(x)

        def evaluate(x: Array) -> Evaluation:
            return Evaluation(residuals(x, factors), jax.jacfwd(residuals)(x, factors), ())

        found = minimise(evaluate, x, STEPS)
        return found.x, (factors, found.converged)

    log_rates = jnp.log(jax.vmap(lambda d, use: _rate(model, d, use))(mean, usable))
    x, (factors, converged) = jax.lax.scan(
        weigh, jnp.concatenate([jnp.full(terms, block.prior_mean), log_rates]), None, WEIGHINGS
    )
    factors, converged = factors[-1], converged[-1]
    white, jacobian = residuals(x, factors), jax.jacfwd(residuals)(x, factors)
    everything, data = jacobian.T @ jacobian, jacobian[:-terms]
    curvature = jax.hessian(lambda y: jnp.sum(residuals(y, factors) ** 2) / 2)(x)
    unit = jnp.concatenate([jnp.full(terms, block.prior_sd), jnp.ones(levels)])
    scale = jnp.concatenate([jnp.ones(terms), jnp.exp(x[terms:])])  # from the logarithms of the rates
    used = usable.ravel()
    covariance = small_matrix.inverse(everything) * scale[:, None] * scale
    return PixelFit(
        value=jnp.concatenate([x[:terms], jnp.exp(x[terms:])]),
        covariance=covariance,
        laplace=jnp.sqrt(jnp.diagonal(small_matrix.inverse(curvature))) * scale,
        fisher=data.T @ data * unit[:, None] * unit,
        chi_square=jnp.sum(white[:-terms] ** 2),
        freedom=used.sum() - jnp.trace(small_matrix.inverse(everything) @ data.T @ data),
        converged=converged
        & (used.sum() > len(x))
        & jnp.isfinite(covariance).all()
        & (jnp.diagonal(covariance) > 0).all(),
        residual=jnp.where(used, (mean - expected(x)).ravel(), jnp.nan),
        whitened=jnp.where(used, white[:-terms], jnp.nan),
    )


def _rate(model: Constants, mean: Array, usable: Array) -> Array:
    """Rate with which the search begins, e-/s: that of the first differences, which are the least compressed."""
    spacing = model.recipe.readout.frames_per_group * model.params.frame_time_s
    first = jnp.sum(jnp.where(usable, mean, 0)[:3]) / jnp.maximum(jnp.sum(usable[:3]), 1)
    return jnp.maximum(first, 0.1) * model.maps.gain[0, 0] / spacing


def _usable(model: Constants, mean: Array, first_group: int) -> Array:
    """Whether the group that ends a difference is below saturation; later ones are not."""
    per_group = model.recipe.readout.frames_per_group
    before = (first_group * per_group + model.recipe.readout.nframes) / per_group
    signal = jnp.cumsum(mean) + mean[0] * before
    limit = model.maps.charge_physics(FITTED_FILL * model.maps.well_e, jnp.asarray(1.0)) / model.maps.gain[0, 0]
    return jnp.cumprod(signal < limit).astype(bool)


def corrections(
    found: PixelFit, terms: int, signal_dn: Float[np.ndarray, "signal"], gain: float, well_e: float
) -> tuple[Float[np.ndarray, "signal pixel"], Float[np.ndarray, "signal pixel"]]:
    """Factors Q / S that make signals (DN since reset) linear, over that of the first one, and their Fisher errors.

    A common factor is another rate, which flats do not tell well; ratios are what a relative measurement sees.
    """

    def one(series: Array) -> Array:
        law = Series(series, jnp.asarray(well_e))
        return relative(lambda q: law(q, 1.0), signal_dn * gain)

    def each(series: Array, covariance: Array) -> tuple[Array, Array]:
        slope = jax.jacfwd(one)(series)
        return one(series), jnp.sqrt(jnp.einsum("si,ij,sj->s", slope, covariance, slope))

    made = jax.jit(jax.vmap(each, in_axes=-1, out_axes=-1))(found.value[:terms], found.covariance[:terms, :terms])
    return np.asarray(made[0]), np.asarray(made[1])


def true_corrections(
    constants: Constants, pixels: np.ndarray, signal_dn: Float[np.ndarray, "signal"]
) -> Float[np.ndarray, "signal pixel"]:
    """Return the same factors of the sensor that was simulated."""
    maps = constants.maps

    def one(gain: Array, scale: Array) -> Array:
        return relative(lambda q: maps.charge_physics(q, scale), signal_dn * gain)

    taken = (np.asarray(a, float).ravel()[pixels] for a in (maps.gain, maps.deficit_scale))
    return np.asarray(jax.jit(jax.vmap(one, out_axes=-1))(*taken))


def relative(law: Callable[[Array], Array], signal_e: Array) -> Array:
    """Q / S at each signal over that at the first."""
    factor = inverse(law, signal_e) / signal_e
    return factor / factor[0]


def inverse(law: Callable[[Array], Array], signal_e: Float[Array, "signal"]) -> Float[Array, "signal"]:
    """Charges of signals, e-, by Newton's method."""

    def better(_: Array, q: Array) -> Array:
        value, slope = jax.jvp(law, (q,), (jnp.ones_like(q),))
        return q - (value - signal_e) / slope

    start = jnp.asarray(signal_e, float)
    # of fixed length, so that derivatives go through it
    return jax.lax.scan(lambda q, i: (better(i, q), None), start, jnp.arange(NEWTON))[0]


def polynomial(
    found: PixelFit, terms: int, pixels: np.ndarray, shape: tuple[int, int], gain: float, well_e: float
) -> Float[np.ndarray, "n y x"]:
    """Coefficients of the LINEARITY reference for signals without bias, DN; NaN in pixels that were not fitted."""
    time = np.arange(1, FLAT_READS + 1) / FLAT_READS
    signal = np.full((FLAT_READS, shape[0] * shape[1]), np.nan)
    good = found.converged
    law = Series(found.value[:terms, good][:, None], np.asarray(well_e))
    signal[:, pixels[good]] = np.asarray(law(jnp.asarray(time[:, None] * well_e), 1.0))
    ramp = FlatRamp(time, signal.reshape(FLAT_READS, *shape))
    coefficients = in_dn(fit_flat_ramp(ramp, well_e), np.full(shape, well_e / gain))
    return np.where(np.isfinite(ramp.signal[0]), coefficients, np.nan)
