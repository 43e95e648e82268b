"""Levels that drift from line to line, and how a few noisy pixels of each line best tell them.

The level of a line is a stationary process along the slow axis, a sum of exponentials exp(-lag/length) with positive
weights (so a covariance whatever the weights), which follows 1/f noise over the lags of a frame. Lags are in lines.
Source: best linear unbiased prediction ("kriging"), Cressie (1993) section 3.2.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

SHORTEST, RATIO = 0.5, 4.0  # correlation lengths: half a line and powers of four up to the window
ROUNDS = 500  # of the multiplicative updates: weights settle to a per cent after some tens
NOISY = 3.0  # times the typical variance: beyond, a pixel is bad


def shapes(lines: int) -> Float[np.ndarray, "length line line"]:
    """Correlation exp(-lag/length) of two lines for every length."""
    count = 1 + int(np.ceil(np.log(lines / SHORTEST) / np.log(RATIO)))
    length = SHORTEST * RATIO ** np.arange(count)
    lag = np.abs(np.subtract.outer(np.arange(lines), np.arange(lines)))
    return np.exp(-lag / length[:, None, None])


def noise(
    deviation: Float[Array, "frame line pixel"], usable: Bool[Array, "line pixel"]
) -> tuple[Bool[Array, "line pixel"], Float[Array, ""]]:
    """Which pixels are good, and the variance of the noise of each that it does not share with its line.

    `deviation` is from the mean over the frames. Good is a usable pixel whose mean square distance from the median of
    its line is below NOISY times the typical one. The variance is sum (d - m)^2 / (F - 1) / sum (n - 1), over frames,
    lines and the n good pixels of a line with mean m.
    """
    frames = deviation.shape[0]
    middle = jnp.nanmedian(jnp.where(usable, deviation, jnp.nan), axis=-1, keepdims=True)
    distance = jnp.where(usable, ((deviation - middle) ** 2).mean(0), jnp.nan)
    good = usable & (distance <= NOISY * jnp.nanmedian(distance))
    d = jnp.where(good, deviation, 0)
    count = good.sum(-1, keepdims=True)
    apart = jnp.where(good, d - d.sum(-1, keepdims=True) / jnp.maximum(count, 1), 0)
    freedom = jnp.maximum(count - 1, 0).sum() * (frames - 1)
    return good, jnp.where(freedom > 0, (apart**2).sum() / jnp.maximum(freedom, 1), jnp.inf)


def structure(covariance: Float[Array, "line line"]) -> Float[Array, "line line"]:
    """<(a_r - a_r')(b_r - b_r')> from <a_r b_r'>: free of whatever all lines share."""
    own = jnp.diagonal(covariance)
    return own[:, None] + own[None, :] - covariance - covariance.T


def fitted(
    measured: Float[Array, "line line"], shape: Float[Array, "length line line"], counts: Float[Array, "line line"]
) -> Float[Array, "length"]:
    """Variances of the exponentials, none negative, whose structure comes nearest to the measured one.

    Least squares over pairs of lines that count, by multiplicative updates (Lee & Seung 2001).
    """
    basis = 2 * (1 - shape)
    target = jnp.maximum(jnp.einsum("jrs,rs->j", basis, counts * measured), 0)
    normal = jnp.einsum("jrs,krs->jk", basis, counts * basis)
    start = jnp.full(len(shape), target.sum() / jnp.maximum(normal.sum(), 1e-30))
    return jax.lax.fori_loop(0, ROUNDS, lambda _, w: w * target / jnp.maximum(normal @ w, 1e-30), start)


def predictor(
    target: Float[Array, "*any line measured"],
    covariance: Float[Array, "measured measured"],
    noise: Float[Array, "measured"],
) -> Float[Array, "*any line measured"]:
    """Weights W = C_t (C + N)^-1 of the best linear estimate; measurements of infinite noise get no weight."""
    known = jnp.isfinite(noise)
    both = known[:, None] & known[None, :]
    system = jnp.where(both, covariance, 0) + jnp.diag(jnp.where(known, noise, 1))
    # the diagonal is raised by rounding's worth, so that noiseless pixels leave a system that can be solved
    system = system + 1e-10 * jnp.diag(jnp.diagonal(system))
    wanted = jnp.where(known, target, 0)
    return jnp.moveaxis(jnp.linalg.solve(system, jnp.moveaxis(wanted, -1, 0).reshape(len(noise), -1)), 0, -1).reshape(
        wanted.shape
    )
