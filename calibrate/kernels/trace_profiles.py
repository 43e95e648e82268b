"""Profiles of overlapping spectra from one image of them: host code in numpy.

The light of order o at a distance s across its trace is a shape of the wavelength, T(s, lambda), the same for all
orders but for small differences: the optics that spread the light know the wavelength, not the order. So where a faint
order lies under a bright one its shape is taken from where the bright one has that wavelength by itself, which is what
keeps the light of one order out of the profile of the other. Radica et al. 2022 (PASP 134 104502) reconstruct profiles
of SOSS one order after the other with the wings of a simulated point spread; here all orders are fitted at once and the
wings are algebraic.

Across: cubic B-splines a pixel apart to CORE_PX, and (1 + (s / WING_PX)^2)^(-p/2) for p = 2, 3, 4, plain and with the
sign of s, which cannot take the shape of another order far from the trace. Along: cubic B-splines in log wavelength;
each further order has a quadratic of its own, free where its trace is CLEAR_PX from all others and constant beyond.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.interpolate import BSpline
from scipy.linalg import cho_factor, cho_solve

CORE_PX, WING_PX, WING_POWERS = 17, 8.0, (2, 3, 4)
CLEAR_PX = 50.0
KNOTS = 14  # in log wavelength, of the shape that all orders share
DAMPING, STEPS = 1e-2, 3  # of Levenberg and Marquardt; more steps gained nothing on images with noise or without
START_HALF_PX = 11.0
# a pixel this far from the first fit, relative to it and in robust standard deviations, is of another source
ODD_PART, ODD_SIGMA = 0.3, 10.0


class _Basis(NamedTuple):
    across: Float[ndarray, "x y order*shape"]
    along: Float[ndarray, "order x knot"]
    shared: int  # of the knots
    core: int  # of the shapes across


class _Solved(NamedTuple):
    """Amounts of the orders and of a level in each column, with what their elimination needs."""

    shapes: Float[ndarray, "x y shape"]
    amount: Float[ndarray, "x shape"]
    covariance: Float[ndarray, "x shape shape"]


def fit(
    image: Float[ndarray, "y x"],
    weight: Float[ndarray, "y x"],
    trace_px: Float[ndarray, "order x"],
    wavelength_um: Float[ndarray, "order x"],
) -> Float[ndarray, "order y x"]:
    """Profiles with unit sum in each column, 0 where an order does not fall.

    `weight` is the inverse variance, 0 for pixels that are not to be used; traces are NaN where there is no light. The
    image is sum_o f_o(x) P_o(y, x) + b(x); the amounts f and b are eliminated column by column (variable projection,
    Kaufman 1975), and the coefficients of P follow by STEPS damped Gauss-Newton steps.
    """
    lit = np.isfinite(trace_px) & np.isfinite(wavelength_um)
    basis = _basis(trace_px, wavelength_um, lit, len(image))
    coefficients = _start(basis)
    weight = np.where(np.isfinite(image) & (weight > 0), weight, 0)
    image = np.where(weight > 0, image, 0)
    coefficients = _step(basis, coefficients, image, weight)
    weight = np.where(_odd(basis, coefficients, image, weight), 0, weight)
    for _ in range(STEPS - 1):
        coefficients = _step(basis, coefficients, image, weight)
    profiles = np.maximum(_profiles(basis, coefficients), 0)
    total = profiles.sum(1, keepdims=True)
    return profiles / np.where(total > 0, total, 1)


def _basis(
    trace_px: Float[ndarray, "order x"], wavelength_um: Float[ndarray, "order x"], lit: Bool[ndarray, "order x"], height
) -> _Basis:
    distance = np.arange(height)[:, None] - np.where(lit, trace_px, 0)[:, None]
    across = np.stack([_across(d) * on[None, :, None] for d, on in zip(distance, lit, strict=True)])
    orders, _, width, count = across.shape
    across = across.transpose(2, 1, 0, 3).reshape(width, height, orders * count)

    log = np.log(np.where(lit, wavelength_um, np.nan))
    shared = _spline(log, np.linspace(np.nanmin(log), np.nanmax(log), KNOTS), 3)
    columns = [shared]
    for k in range(1, orders):
        apart = np.nanmin(np.abs(np.delete(trace_px, k, 0) - trace_px[k]), axis=0, initial=np.inf)
        clear = log[k][lit[k] & (apart >= CLEAR_PX)]
        if len(clear):
            own = np.zeros((orders, width, 3))
            own[k] = _spline(log[k], np.array([clear.min(), clear.max()]), 2)
            columns.append(own)
    along = np.concatenate(columns, 2) * lit[:, :, None]
    return _Basis(across, along, shared.shape[2], count - 2 * len(WING_POWERS))


def _across(distance_px: Float[ndarray, "y x"]) -> Float[ndarray, "y x shape"]:
    """Cubic B-splines about -CORE_PX ... CORE_PX, then the wings."""
    cells = 2 * CORE_PX + 1
    out = np.zeros((*distance_px.shape, cells + 6 + 2 * len(WING_POWERS)), np.float32)  # three cells of margin a side
    cell = np.floor(distance_px)
    u = distance_px - cell
    pieces = (1 - u) ** 3 / 6, (4 - 6 * u**2 + 3 * u**3) / 6, (1 + 3 * u + 3 * u**2 - 3 * u**3) / 6, u**3 / 6
    first = np.clip(cell.astype(int) + CORE_PX + 2, 0, cells + 2)  # what lies outside falls into the margin
    inside = (cell >= -CORE_PX - 2) & (cell <= CORE_PX + 1)
    for k, piece in enumerate(pieces):
        np.put_along_axis(out, (first + k)[..., None], np.where(inside, piece, 0)[..., None], -1)
    wings = []
    for power in WING_POWERS:
        wing = (1 + (distance_px / WING_PX) ** 2) ** (-power / 2)
        wings += [wing, wing * np.tanh(distance_px / WING_PX)]
    return np.concatenate([out[..., 3 : cells + 3], np.stack(wings, -1).astype(np.float32)], -1)


def _spline(at: Float[ndarray, "..."], knots: Float[ndarray, "knot"], degree: int) -> Float[ndarray, "... spline"]:
    """B-splines on clamped knots, constant beyond their ends."""
    padded = np.concatenate([[knots[0]] * degree, knots, [knots[-1]] * degree])
    inside = np.clip(np.nan_to_num(at, nan=knots[0]), knots[0], knots[-1])
    return BSpline.design_matrix(inside.ravel(), padded, degree).toarray().reshape(*at.shape, -1)


def _start(basis: _Basis) -> Float[ndarray, "shape knot"]:
    """A plateau with weak wings for all orders and wavelengths."""
    shapes = basis.across.shape[2] // len(basis.along)
    out = np.zeros((shapes, basis.along.shape[2]))
    inside = np.abs(np.arange(basis.core) - basis.core // 2) < START_HALF_PX
    out[: basis.core, : basis.shared] = inside[:, None] / (2 * START_HALF_PX)
    out[basis.core, : basis.shared] = 0.1 / (2 * START_HALF_PX)
    return out


def _profiles(basis: _Basis, coefficients: Float[ndarray, "shape knot"]) -> Float[ndarray, "order y x"]:
    count = len(coefficients)
    parts = [
        np.matmul(basis.across[:, :, k * count : (k + 1) * count], (along @ coefficients.T)[:, :, None])[:, :, 0].T
        for k, along in enumerate(basis.along)
    ]
    return np.stack(parts)


def _solve(profiles: Float[ndarray, "order y x"], image: Float[ndarray, "y x"], weight: Float[ndarray, "y x"]):
    """Weighted least squares for the amounts of the profiles and of a level in each column."""
    shapes = np.concatenate([profiles, np.ones_like(profiles[:1])]).transpose(2, 1, 0)
    weighted = (shapes * weight.T[:, :, None]).transpose(0, 2, 1)
    normal = np.matmul(weighted, shapes)
    diagonal = np.einsum("xkk->xk", normal)
    scale = np.where(diagonal > 0, 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1)), 0)
    both = scale[:, :, None] * scale[:, None, :]
    eye = np.eye(normal.shape[1])
    covariance = np.linalg.inv(normal * both + eye * (1e-9 + (scale == 0)[:, :, None])) * both
    amount = np.matmul(covariance, np.matmul(weighted, image.T[:, :, None]))[:, :, 0]
    return _Solved(shapes, amount, covariance)


def _step(
    basis: _Basis, coefficients: Float[ndarray, "shape knot"], image: Float[ndarray, "y x"], weight
) -> Float[ndarray, "shape knot"]:
    """Coefficients after one damped Gauss-Newton step in which the amounts follow."""
    solved = _solve(_profiles(basis, coefficients), image, weight)
    count, knots = coefficients.shape
    normal, right = np.zeros((count * count, knots * knots)), np.zeros((count, knots))
    pull, curve = _projected(basis, solved, image, weight)
    light = solved.amount.T[:-1, :, None] * basis.along
    for one, of_one in enumerate(light):
        mine = slice(one * count, (one + 1) * count)
        right += pull[:, mine].T @ of_one
        for other, of_other in enumerate(light):
            x = np.flatnonzero(of_one.any(1) & of_other.any(1))
            pairs = (of_one[x][:, :, None] * of_other[x][:, None, :]).reshape(len(x), -1)
            theirs = slice(other * count, (other + 1) * count)
            normal += curve[x, mine, theirs].reshape(len(x), -1).T @ pairs
    size = count * knots
    normal = normal.reshape(count, count, knots, knots).transpose(0, 2, 1, 3).reshape(size, size)
    diagonal = normal.diagonal()
    scale = 1 / np.sqrt(np.maximum(diagonal, 1e-12 * diagonal.max()))
    damped = normal * scale[:, None] * scale + DAMPING * np.eye(size)
    return coefficients + (cho_solve(cho_factor(damped), right.ravel() * scale) * scale).reshape(count, knots)


def _projected(
    basis: _Basis, solved: _Solved, image: Float[ndarray, "y x"], weight: Float[ndarray, "y x"]
) -> tuple[Float[ndarray, "x order*shape"], Float[ndarray, "x order*shape order*shape"]]:
    """Gradient and curvature of each column's misfit in the shapes, less what the amounts can make up."""
    size = basis.across.shape[2]
    pull, curve = np.empty((len(basis.across), size)), np.empty((len(basis.across), size, size), np.float32)
    for x, (across, shapes, amount, covariance) in enumerate(zip(basis.across, *solved, strict=True)):
        weighted = across * weight[:, x, None].astype(np.float32)
        made_up = shapes.T @ weighted
        pull[x] = weighted.T @ (image[:, x] - shapes @ amount)
        curve[x] = weighted.T @ across - made_up.T @ covariance @ made_up
    return pull, curve


def _odd(
    basis: _Basis, coefficients: Float[ndarray, "shape knot"], image: Float[ndarray, "y x"], weight
) -> Bool[ndarray, "y x"]:
    """Mark pixels that the fit does not explain by far."""
    solved = _solve(_profiles(basis, coefficients), image, weight)
    model = np.einsum("xys,xs->yx", solved.shapes, solved.amount)
    misfit = np.abs(image - model) * np.sqrt(weight)
    scale = np.median(misfit[weight > 0]) / 0.6745
    return misfit > ODD_PART * np.abs(model) * np.sqrt(weight) + ODD_SIGMA * scale
