"""Covariance of the planet spectrum: what the depths share because their light curves share noise.

Each depth is, near its optimum, linear in its points with response h_bt. Noise of covariance S_bc, the same and
independent at all times, then gives C_bc = S_bc sum_t h_bt h_ct. S = D^1/2 R D^1/2: D the residual variances with n - p
degrees of freedom, R the residual correlation of which only the factors are kept that white noise does not produce.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

TRACY_WIDOM_99 = 2.0234  # 99 % quantile of the Tracy-Widom law for real matrices


class Factors(NamedTuple):
    """Common factors of the residuals: correlation = vectors diag(strength) vectors^T + what makes the diagonal 1."""

    vectors: Float[np.ndarray, "channel factor"]
    strength: Float[np.ndarray, "factor"]


def noise_edge(channels: int, points: int) -> float:
    """Return the largest eigenvalue that a correlation matrix of white noise reaches in 99 % of cases.

    Its centre is the Marchenko-Pastur edge (1 + sqrt(B / n))^2, its spread that of Tracy and Widom (Johnstone 2001).
    """
    a, b = np.sqrt(points - 1), np.sqrt(channels)
    return float(((a + b) ** 2 + TRACY_WIDOM_99 * (a + b) * (1 / a + 1 / b) ** (1 / 3)) / points)


def correlation(residuals: Float[np.ndarray, "channel time"]) -> Float[np.ndarray, "channel channel"]:
    """Correlate over the points that both channels have; 0 where a channel has none."""
    used = np.isfinite(residuals)
    r = np.where(used, residuals, 0.0)
    power = np.sum(r**2, axis=1) / np.maximum(used.sum(axis=1), 1)
    scaled = r / np.sqrt(np.where(power > 0, power, 1.0))[:, None]
    pairs = used.astype(float) @ used.T
    matrix = scaled @ scaled.T / np.maximum(pairs, 1.0)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def common_factors(residuals: Float[np.ndarray, "channel time"], parameters: int) -> Factors:
    """Find the factors of the residual correlation above the edge of white noise.

    An eigenvalue l seen above the edge comes from a true one L with l = L (1 + g / (L - 1)), g = B / n (spiked model,
    Baik & Silverstein 2006); that is undone here. `parameters` is the number fitted to each channel.
    """
    channels = residuals.shape[0]
    points = int(np.median(np.isfinite(residuals).sum(axis=1))) - parameters
    if channels < 2 or points < 2:
        return Factors(np.zeros((channels, 0)), np.zeros(0))
    values, vectors = np.linalg.eigh(correlation(residuals))
    kept = values > noise_edge(channels, points)
    ratio = channels / points
    middle = values[kept] + 1 - ratio
    true = 0.5 * (middle + np.sqrt(np.maximum(middle**2 - 4 * values[kept], 0.0)))
    return Factors(vectors[:, kept], np.maximum(true - 1, 0.0))


def shared(factors: Factors) -> Float[np.ndarray, "channel channel"]:
    """Return the cleaned correlation: low rank plus what completes the diagonal to 1."""
    low_rank = (factors.vectors * factors.strength) @ factors.vectors.T
    own = np.diag(low_rank).copy()
    shrink = np.sqrt(np.where(own > 0.99, 0.99 / np.where(own > 0, own, 1.0), 1.0))  # keep a channel's own part
    matrix = low_rank * np.outer(shrink, shrink)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def depth_covariance(
    response: Float[np.ndarray, "channel time"],
    residuals: Float[np.ndarray, "channel time"],
    parameters: int,
    error: Float[np.ndarray, "channel"],
) -> Float[np.ndarray, "channel channel"]:
    """Return the covariance of the depths; its diagonal is `error`^2, its off-diagonal what common factors add.

    C_bc = R_bc cos(h_b, h_c) error_b error_c, where cos is that of the angle between the responses.
    """
    good = np.isfinite(error)
    norm = np.sqrt(np.sum(response**2, axis=1))
    unit = response / np.where(norm > 0, norm, 1.0)[:, None]
    alike = shared(common_factors(np.where(good[:, None], residuals, np.nan), parameters)) * (unit @ unit.T)
    np.fill_diagonal(alike, 1.0)
    return alike * np.outer(error, error)
