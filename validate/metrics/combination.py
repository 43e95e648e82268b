"""Variance of a linear combination of the samples of one integration, noise by noise.

What an extraction makes of an integration is sum_gyx c_gyx G_gyx over groups and pixels, if its flags and weights are
held. With the covariance of the samples known, so is its variance, whatever the c: they may remove a background, weigh
groups differently pixel by pixel, or bin columns. Groups are single frames that follow each other without gaps, read
by one output; coefficients are per electron.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import toeplitz

from uptheramp.calibrate.kernels.readout import CLOCK_S, oriented


def poisson(
    coefficients: Float[ndarray, "group y x"], rate_e_per_s: Float[ndarray, "y x"], frame_time_s: float
) -> Float[ndarray, "y x"]:
    """Pixel by pixel: rate t_frame sum_k (sum_{g >= k} c_g)^2, as the electrons of a frame are in all later groups."""
    later = np.cumsum(coefficients[::-1], axis=0)
    return rate_e_per_s * frame_time_s * (later**2).sum(0)


def white(coefficients: Float[ndarray, "group y x"], sigma_e: Float[ndarray, "y x"] | float) -> Float[ndarray, "y x"]:
    """Pixel by pixel: sigma^2 sum_g c_g^2."""
    return sigma_e**2 * (coefficients**2).sum(0)


def stationary(
    coefficients: Float[ndarray, "group y x"],
    variance: Float[ndarray, "pole"],
    rate_per_s: Float[ndarray, "pole"],
    axes: tuple[int, int],
    overhead_clocks: int,
    frame_time_s: float,
) -> float:
    """Of all samples together, for noise whose covariance at times t, t' is sum_p v_p exp(-r_p |t - t'|).

    `axes` are the fast and the slow axis. Within a line the sum over pairs is c^T K c; the lines before act through
    the poles, whose states decay from line to line, so that the cost grows with the number of samples.
    """
    lines = oriented(coefficients, *axes)
    groups, count, pixels = lines.shape
    position = np.arange(pixels)
    fading = np.exp(-rate_per_s[:, None] * position * CLOCK_S)
    start_s = (
        np.arange(groups)[:, None] * frame_time_s + np.arange(count) * (pixels + overhead_clocks) * CLOCK_S
    ).ravel()
    rows = lines.reshape(-1, pixels)
    used = np.flatnonzero(rows.any(1))
    rows, start_s = rows[used], start_s[used]
    within = np.einsum("lp,lp->", rows @ toeplitz(variance @ fading), rows)
    seen, left = rows @ fading.T, rows @ fading[:, ::-1].T  # by the first, and at the last, pixel of a line
    span_s = np.diff(start_s) - (pixels - 1) * CLOCK_S
    state, between = np.zeros(len(variance)), 0.0
    for gap, before, now in zip(span_s, left, seen[1:], strict=False):
        state = state * np.exp(-rate_per_s * (pixels - 1) * CLOCK_S) + before
        state = state * np.exp(-rate_per_s * gap)
        between += (variance * state) @ now
    return float(within + 2 * between)
