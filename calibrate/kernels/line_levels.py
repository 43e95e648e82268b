"""Levels that drift from line to line, and how a few noisy pixels of each line best tell them.

The level of a line is a stationary process along the slow axis, a sum of exponentials exp(-lag/length) with positive
weights (so a covariance whatever the weights), which follows 1/f noise over the lags of a frame. Lags are in lines.
Source: best linear unbiased prediction ("kriging"), Cressie (1993) section 3.2.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped

SHORTEST, RATIO = 0.5, 4.0  # correlation lengths: half a line and powers of four up to the window
ROUNDS = 500  # of the multiplicative updates: weights settle to a per cent after some tens
NOISY = 3.0  # times the typical variance: beyond, a pixel is bad
DOUBT = 2.0  # standard errors: what a sample shows of a drift is believed by 1 - (DOUBT errors / drift)^2


def shapes(lines: int) -> Float[np.ndarray, "length lag"]:
    """Correlation exp(-lag/length) of two lines so far apart, for every length."""
    count = 1 + int(np.ceil(np.log(lines / SHORTEST) / np.log(RATIO)))
    length = SHORTEST * RATIO ** np.arange(count)
    return np.exp(-np.arange(lines) / length[:, None])


def noise(
    deviation: Float[Array, "frame line pixel"], usable: Bool[Array, "line pixel"]
) -> tuple[Bool[Array, "line pixel"], Float[Array, "frame"]]:
    """Which pixels are good, and in each frame the variance of the noise that a pixel does not share with its line.

    `deviation` is from the mean over the F frames. Good is a usable pixel whose mean square distance from the median of
    its line is below NOISY times the typical one. The variance is sum (d - m)^2 / sum (n - 1) F / (F - 1), over lines
    and the n good pixels of a line with mean m; infinite where no line has two.
    """
    frames = deviation.shape[0]
    middle = jnp.nanmedian(jnp.where(usable, deviation, jnp.nan), axis=-1, keepdims=True)
    distance = jnp.where(usable, ((deviation - middle) ** 2).mean(0), jnp.nan)
    good = usable & (distance <= NOISY * jnp.nanmedian(distance))
    count = good.sum(-1, keepdims=True)
    mean = jnp.where(good, deviation, 0).sum(-1, keepdims=True) / jnp.maximum(count, 1)
    squares = (jnp.where(good, deviation - mean, 0) ** 2).sum((1, 2))
    freedom = jnp.maximum(count - 1, 0).sum() * (frames - 1)
    return good, jnp.where(freedom > 0, squares * frames / jnp.maximum(freedom, 1), jnp.inf)


def structure(
    first: Float[Array, "frame line"], second: Float[Array, "frame line"], known: Bool[Array, "line"]
) -> Float[Array, "frame lag"]:
    """Sum over pairs of known lines of (a_r - a_s)(b_r - b_s), by their lag: free of whatever all lines share."""
    first, second = jnp.where(known, first, 0), jnp.where(known, second, 0)
    here = _apart(first * second, known) + _apart(known, first * second)
    return here - _apart(first, second) - _apart(second, first)


def pairs(value: Float[Array, "*any line"], known: Bool[Array, "line"]) -> Float[Array, "*any lag"]:
    """Sum over pairs of known lines of v_r + v_s, by their lag; of 1/2 it is their number."""
    value = jnp.where(known, value, 0)
    return _apart(value, known) + _apart(known, value)


def _apart(first: Shaped[Array, "*any line"], second: Shaped[Array, "*any line"]) -> Float[Array, "*any lag"]:
    """Sum over r of a_r b_(r + lag), by Fourier transforms of lines padded with as many zeros."""
    lines = first.shape[-1]
    a, b = (jnp.fft.rfft(x.astype(jnp.float64), 2 * lines) for x in (first, second))
    return jnp.fft.irfft(a.conj() * b, 2 * lines)[..., :lines]


def fitted(
    measured: Float[Array, "frame lag"], number: Float[Array, "lag"], shape: Float[np.ndarray, "length lag"]
) -> Float[Array, "length"]:
    """Variances of the exponentials, none negative, whose structure 2 (1 - shape) comes nearest to the measured one.

    Least squares over pairs of lines (`number` of them at each lag, over which `measured` is summed), by multiplicative
    updates (Lee & Seung 2001). What a sample shows is shrunk by its doubt, so that pixels too noisy to show a drift are
    not used to correct one.
    """
    basis = 2 * (1 - shape)
    seen = measured @ basis.T
    frames = len(seen)
    mean = seen.mean(0) * frames / max(frames - 1, 1)
    whole = seen.sum(-1)
    error = whole.std() / max(frames - 1, 1) ** 0.5
    believed = jnp.where(mean.sum() > 0, 1 - (DOUBT * error / jnp.where(mean.sum() > 0, mean.sum(), 1)) ** 2, 0)
    target = jnp.maximum(believed, 0) * jnp.maximum(mean, 0)
    normal = (basis * number) @ basis.T
    start = jnp.full(len(basis), target.sum() / jnp.maximum(normal.sum(), 1e-30))
    return jax.lax.fori_loop(0, ROUNDS, lambda _, w: w * target / jnp.maximum(normal @ w, 1e-30), start)


def predictor(
    target: Float[Array, "*any line measured"],
    covariance: Float[Array, "measured measured"],
    noise: Float[Array, "measured"],
) -> Float[Array, "*any line measured"]:
    """Weights W = C_t (C + N)^-1 of the best linear estimate; measurements of infinite noise get no weight."""
    known = jnp.isfinite(noise)
    system = jnp.where(known[:, None] & known, covariance, 0) + jnp.diag(jnp.where(known, noise, 1))
    # raised by rounding's worth, so that noiseless pixels leave a system that can be solved
    system = system + jnp.diag(1e-10 * jnp.diagonal(system) + 1e-30)
    wanted = jnp.where(known, target, 0)
    return jnp.linalg.solve(system, wanted.reshape(-1, len(noise)).T).T.reshape(wanted.shape)
