"""One spectrum of the star behind overlapping orders: the linear model of Darveau-Bernier et al. 2022, host code.

With wavelength a function of the column alone, order n has in column x the light g_n(x) = sum_j R_nj(x) f_j: f photons
a micron on one grid of wavelengths, throughput, line spread and pixels in R. All that an image says of f is said by the
fluxes that a solve by column gives and by their inverse covariance M, the level eliminated. So f minimises

    sum_x (g - R f)^T M (g - R f) + sum_j ((r_j+1 - r_j) / s)^2,   r = f / estimate,

the second term a prior: ratios of neighbours to a smooth estimate differ by about s. The grid has about a point for
each pixel of the order that samples its wavelength most finely.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.ndimage import binary_erosion, gaussian_filter1d, median_filter
from scipy.sparse import block_array, csr_array, diags_array

POINTS_PER_COLUMN = 1.75  # of the window, enough for three orders at one point a pixel
SMOOTH = 31  # points of the running median that makes the estimate
FINER, BLEND = 8, 10  # the density is known that much finer, and where orders end it changes over so many points
ENDS = 6  # columns at the ends of an order, whose light may come from wavelengths that are not in its table


class Response(NamedTuple):
    """Light of each order and column (rows, the orders end to end) from the grid; `inner` rows are not at an end."""

    wavelength_um: Float[ndarray, "point"]
    matrix: csr_array
    inner: Bool[ndarray, "order x"]


def points(width: int) -> int:
    """Length of the grid for a window of so many columns."""
    return round(POINTS_PER_COLUMN * width)


def response(
    wavelength_um: Float[ndarray, "order x"],
    curve_um: Float[ndarray, "knot"],
    throughput: Float[ndarray, "order knot"],
    kernel_um: Float[ndarray, "wavelength"],
    kernel: Float[ndarray, "sample wavelength"],
    per_px: int,
) -> Response:
    """Grid and response from wavelengths by column (NaN where an order does not fall), throughputs and line spread."""
    half_px = len(kernel) // 2 / per_px
    inverse = [_columns(lam, half_px) for lam in wavelength_um]
    grid = _grid(inverse, points(wavelength_um.shape[1]))
    step = np.gradient(grid)
    below = np.concatenate([np.zeros((1, kernel.shape[1])), np.cumsum(kernel / kernel.sum(0), axis=0)])
    at_px = (np.arange(len(below)) - len(kernel) / 2) / per_px  # edges of the samples
    rows, columns, values = [], [], []
    width = wavelength_um.shape[1]
    for n, (lam, (known, column)) in enumerate(zip(wavelength_um, inverse, strict=True)):
        inside = np.flatnonzero((grid >= known[0]) & (grid <= known[-1]))
        place = np.interp(grid[inside], known, column)
        efficiency = np.interp(grid[inside], curve_um, throughput[n], left=0.0, right=0.0)
        near = np.round(place).astype(int)[:, None] + np.arange(-int(half_px) - 1, int(half_px) + 2)
        share = _between(at_px, below, kernel_um, grid[inside], near - place[:, None])
        value = share * (efficiency * step[inside])[:, None]
        lit = (near >= 0) & (near < width) & (value > 0)
        lit &= np.isfinite(lam)[np.clip(near, 0, width - 1)]
        rows.append(n * width + near[lit])
        columns.append(np.broadcast_to(inside[:, None], near.shape)[lit])
        values.append(value[lit])
    shape = (wavelength_um.size, len(grid))
    matrix = csr_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape)
    inner = binary_erosion(np.isfinite(wavelength_um), np.ones((1, 2 * ENDS + 1)), border_value=1)
    return Response(grid, matrix, inner)


def _columns(lam: Float[ndarray, "x"], margin_px: float) -> tuple[Float[ndarray, "knot"], Float[ndarray, "knot"]]:
    """Wavelengths, rising, and the columns where they fall, straight on for a margin beyond both ends."""
    x = np.flatnonzero(np.isfinite(lam)).astype(float)
    known = lam[x.astype(int)].astype(float)
    ends = [known[0] - margin_px * (known[1] - known[0]), known[-1] + margin_px * (known[-1] - known[-2])]
    known, x = np.concatenate([ends[:1], known, ends[1:]]), np.concatenate([[x[0] - margin_px], x, [x[-1] + margin_px]])
    rising = np.argsort(known)
    return known[rising], x[rising]


def _grid(inverse: list[tuple[ndarray, ndarray]], count: int) -> Float[ndarray, "point"]:
    """Wavelengths as dense everywhere as the pixels of the order that has most there."""
    fine = np.linspace(min(k[0] for k, _ in inverse), max(k[-1] for k, _ in inverse), FINER * count)
    density = [np.abs(np.gradient(np.interp(fine, known, column), fine)) for known, column in inverse]
    most = np.maximum(np.max(density, axis=0), 1e-3 * np.max(density))
    cumulative = np.cumsum(gaussian_filter1d(most, BLEND * FINER, mode="nearest"))
    return np.interp(np.linspace(cumulative[0], cumulative[-1], count), cumulative, fine)


def _between(
    at_px: Float[ndarray, "edge"],
    below: Float[ndarray, "edge wavelength"],
    kernel_um: Float[ndarray, "wavelength"],
    lam: Float[ndarray, "point"],
    middle_px: Float[ndarray, "point pixel"],
) -> Float[ndarray, "point pixel"]:
    """Share of a line that falls into pixels with these distances from it, linear between the kernels' wavelengths."""
    place = np.clip(np.interp(lam, kernel_um, np.arange(len(kernel_um))), 0, len(kernel_um) - 1 - 1e-9)
    left = place.astype(int)
    part = (place - left)[:, None]
    edge = np.concatenate([middle_px - 0.5, middle_px[:, -1:] + 0.5], axis=1)
    index = np.clip((edge - at_px[0]) / (at_px[1] - at_px[0]), 0, len(at_px) - 1 - 1e-9)
    low = index.astype(int)
    rest = index - low

    def cumulative(which: Int[ndarray, "point"]) -> Float[ndarray, "point edge"]:
        k = which[:, None]
        return below[low, k] * (1 - rest) + below[low + 1, k] * rest

    both = cumulative(left) * (1 - part) + cumulative(left + 1) * part
    return np.diff(both, axis=1)


def estimate(model: Response, flux: Float[ndarray, "order*x"]) -> Float[ndarray, "point"]:
    """Smooth positive guess of f: the light found in the columns of each point over what a flat one sends."""
    weight = model.matrix.T @ np.maximum(np.nan_to_num(flux), 0)
    flat = model.matrix.T @ (model.matrix @ np.ones(len(model.wavelength_um)))
    guess = weight / np.where(flat > 0, flat, np.inf)
    smooth = median_filter(guess, SMOOTH, mode="nearest")
    return np.maximum(smooth, 1e-3 * np.median(smooth))


def rebuilding(
    model: Response,
    information: Float[ndarray, "order order x"],
    guess: Float[ndarray, "point"],
    spread: float,
) -> Float[ndarray, "order*x order*x"]:
    """The matrix R (R^T M R + D^T D)^-1 R^T M: from fluxes by column to those that one spectrum behind them makes.

    D takes differences of neighbours of f over the estimate, over their `spread`.
    """
    scaled = model.matrix @ diags_array(guess)
    information = information * (model.inner[:, None] & model.inner)
    weighted = scaled.T @ block_array([[diags_array(each) for each in row] for row in information])
    size = len(guess)
    prior = diags_array([-np.ones(size - 1), np.ones(size - 1)], offsets=[0, 1], shape=(size - 1, size)) / spread
    normal = (weighted @ scaled + prior.T @ prior).toarray()
    factor, failed = dpotrf(normal, lower=1)
    inverse, no_inverse = dpotri(factor, lower=1)
    if failed or no_inverse:
        raise FloatingPointError("the normal matrix of the common spectrum is not positive definite")
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    return (weighted.T @ (scaled @ inverse).T).T
