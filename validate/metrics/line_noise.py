"""What levels of read-out lines add to channels of light when every pixel tells of them: generalised least squares.

    d_p = f_e T_p dt + D b_l + n_p,    n_p ~ N(0, V_p),    b ~ N(0, C)

d_p are the differences of neighbouring groups of pixel p, V_p their covariance by photons and reads, T_p the light of
its dispersion element e with the scale f_e (one for each order), b_l the level of its line (or part of a line) and
output in each group, D the differences of groups. Pixels without light (T = 0: background, reference pixels) tell of
the levels alone. With the light eliminated the levels are known to

    S = (C^-1 + M - B F^-1 B^T)^-1,    M = Z^T V^-1 Z,  B = Z^T V^-1 A,  F = A^T V^-1 A

(Z spreads levels over differences, A fluxes). A channel c is a sum over pixels of GLS slopes, of ramps from which the
estimated levels were taken; of its response to levels, Y, the part that the best weights would have is Y_0, and U is
the rest. Then its covariance is that of photons and reads (L_pr) plus Y_0^T S Y_0 - U^T S U: that by which light and
levels cannot be told apart, less the noise of an aperture that is not the best, as far as it passes for levels. With
the best weights that is the GLS variance with levels less that without. Source: Rao & Toutenburg (1995), Linear Models,
chapter 4.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.linalg import eigh
from scipy.sparse import csr_array, hstack

from uptheramp.validate.metrics.levels_posterior import Drift, posterior
from uptheramp.validate.metrics.limits import GroupTimes


@dataclass(frozen=True)
class Pixels:
    """Pixels that tell of light or levels; `level` as in `Drift`."""

    rate_e_per_s: Float[ndarray, "pixel"]  # all electrons
    read_noise_e: Float[ndarray, "pixel"]  # of a single read
    usable: Bool[ndarray, "difference pixel"]
    level: Int[ndarray, "pixel"]
    element: Int[ndarray, "pixel"]  # along the dispersion
    light: Float[ndarray, "order pixel"]  # of the star, e-/s
    share: Float[ndarray, "spectrum pixel"]  # weight of the slope in the sum of its element


@dataclass(frozen=True)
class _Ramps:
    """V^-1 of all pixels, as far as it is needed."""

    slope: Float[ndarray, "pixel group"]  # D^T V^-1 dt: what a level does to the weighted sum of a pixel's slope
    information: Float[ndarray, "pixel"]  # dt^T V^-1 dt: 1 / variance of the slope
    level: Float[ndarray, "level group group"]  # M: sum over the pixels of a level of D^T V^-1 D


def added_covariance(
    pixels: Pixels, times: GroupTimes, drift: Drift, weights: Float[ndarray, "channel spectrum element"]
) -> Float[ndarray, "channel channel"]:
    """Covariance (e-/s)^2 that the levels add to sums of element spectra with the given weights, one integration.

    It may be negative by the noise that the aperture takes beyond the best weights, see the module.
    """
    levels, elements = drift.levels, weights.shape[-1]
    ramps = _ramps(pixels, times, levels)
    has_slope = ramps.information > 0
    share = pixels.share * has_slope
    by_slope = ramps.slope / np.where(has_slope, ramps.information, 1)[:, None]
    b = _by_element(pixels, ramps.slope, pixels.light, levels, elements)
    own = _by_element(pixels, by_slope, share, levels, elements)
    inverse = _inverse(_products(pixels.light, pixels.light * ramps.information, pixels.element, elements))
    seen = _products(pixels.light, share, pixels.element, elements)

    best = np.einsum("eab,ebs,cse->aec", inverse, seen, weights).reshape(-1, len(weights))
    y = own @ weights.reshape(len(weights), -1).T
    y_0 = b @ best

    def told(x: Float[ndarray, "level group column"]) -> Float[ndarray, "level group column"]:
        flat = x.reshape(-1, x.shape[-1])
        scales = (b.T @ flat).reshape(len(pixels.light), elements, -1)
        light = np.einsum("eab,bec->aec", inverse, scales).reshape(-1, x.shape[-1])
        return ramps.level @ x - (b @ light).reshape(x.shape)

    both = np.concatenate([y_0, y - y_0], axis=1).reshape(levels, len(times.mean_s), -1)
    solved = posterior(told, ramps.level.mean(0), drift, both).reshape(len(y), -1)
    channels = len(weights)
    return y_0.T @ solved[:, :channels] - (y - y_0).T @ solved[:, channels:]


def _ramps(pixels: Pixels, times: GroupTimes, levels: int) -> _Ramps:
    """V_p = rate P + noise R of the used differences: one generalised eigenproblem for each pattern of use.

    X^T R X = 1 and X^T P X = diag(v) give V_p^-1 = X diag(1 / (rate v + noise)) X^T. P and R as in `slope_variance`.
    """
    tau, mean, groups = times.tau_s, times.mean_s, len(times.mean_s)
    step = np.diff(np.eye(groups), axis=0)
    inner = np.diag(mean[1:-1] - tau[1:-1], 1)
    photons = np.diag(tau[:-1] + tau[1:] - 2 * mean[:-1]) + inner + inner.T
    reads, dt = step @ step.T, np.diff(mean)
    rate, noise = np.maximum(pixels.rate_e_per_s, 0.0), pixels.read_noise_e**2 / times.reads
    slope, information = np.zeros((len(rate), groups)), np.zeros(len(rate))
    level = np.zeros((levels, groups, groups))
    patterns, which = np.unique(np.packbits(pixels.usable, axis=0).T, axis=0, return_inverse=True)
    for number in range(len(patterns)):
        mine = np.flatnonzero(which.ravel() == number)
        used = np.flatnonzero(pixels.usable[:, mine[0]])
        if not len(used):
            continue
        value, x = eigh(photons[np.ix_(used, used)], reads[np.ix_(used, used)])
        to_group, time = step[used].T @ x, dt[used] @ x
        weight = 1 / (rate[mine, None] * value + noise[mine, None])
        slope[mine] = (weight * time) @ to_group.T
        information[mine] = weight @ time**2
        total = np.stack([np.bincount(pixels.level[mine], w, levels) for w in weight.T])
        level += np.einsum("gk,kl,hk->lgh", to_group, total, to_group, optimize=True)
    return _Ramps(slope, information, level)


def _by_element(
    pixels: Pixels,
    value: Float[ndarray, "pixel group"],
    factor: Float[ndarray, "kind pixel"],
    levels: int,
    elements: int,
) -> csr_array:
    """Sums of factor * value over the pixels of each level and element: (level group, kind element)."""
    groups, out = value.shape[1], []
    for one in factor:
        lit = np.flatnonzero(one)
        pair, where = np.unique(pixels.level[lit] * elements + pixels.element[lit], return_inverse=True)
        sums = np.stack([np.bincount(where, one[lit] * value[lit, g], len(pair)) for g in range(groups)])
        rows = (pair // elements) * groups + np.arange(groups)[:, None]
        columns = np.broadcast_to(pair % elements, rows.shape)
        out.append(csr_array((sums.ravel(), (rows.ravel(), columns.ravel())), (levels * groups, elements)))
    return csr_array(hstack(out))


def _products(
    a: Float[ndarray, "left pixel"], b: Float[ndarray, "right pixel"], element: Int[ndarray, "pixel"], elements: int
) -> Float[ndarray, "element left right"]:
    """Sums of the products of two sets of images over the pixels of each element."""
    return np.stack([[np.bincount(element, x * y, elements) for y in b] for x in a]).transpose(2, 0, 1)


def _inverse(matrices: Float[ndarray, "element order order"]) -> Float[ndarray, "element order order"]:
    """Inverse of each; an order that has no light in an element keeps no scale there."""
    size = np.sqrt(np.einsum("eaa->ea", matrices))
    scale = np.where(size > 0, 1 / np.where(size > 0, size, 1), 0)
    both = scale[:, :, None] * scale[:, None, :]
    return both * np.linalg.pinv(matrices * both, rcond=1e-10, hermitian=True)
