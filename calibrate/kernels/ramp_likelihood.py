"""Maximum-likelihood slope of a ramp from its group differences, for any pattern of reads, and jumps by likelihood.

Differences divided by the time between the groups' means have a tridiagonal covariance (Brandt 2024a, PASP 136, 045004,
eq. 28, 29). With D its forward and E its backward pivots,

    D_i = a_i - b_{i-1}^2 / D_{i-1},    E_i = a_i - b_i^2 / E_{i+1},
    (C^-1)_ii = 1 / (D_i + E_i - a_i),    (C^-1)_{i,i+1} = -(b_i / E_{i+1}) (C^-1)_ii.

A jump in a difference adds a free number to it. The chi-square that this saves is, with s the residuals of the fit and
P = C^-1 - C^-1 1 1^T C^-1 / (1^T C^-1 1), (C^-1 s)_i^2 / P_ii, and for two neighbours the same with 2 x 2 blocks
(Brandt 2024b, PASP 136, 045005, sections 3.1 and 3.2, in other words).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

FEWEST_TO_SEARCH = 4  # differences left below which no further one is given up


class Reads(NamedTuple):
    """Mean time and variance-weighted time (of a group, in frames), and number of reads averaged."""

    mean: Float[np.ndarray, "group"]
    weighted: Float[np.ndarray, "group"]
    number: Float[np.ndarray, "group"]

    @property
    def spacing(self) -> Float[np.ndarray, "difference"]:
        """Time between the means of neighbouring groups."""
        return np.diff(self.mean)


class Covariance(NamedTuple):
    """Diagonal and next diagonal of the covariance of the differences."""

    diagonal: Float[Array, "difference ..."]
    neighbour: Float[Array, "pair ..."]


class Fit(NamedTuple):
    """Slope, chi-square, weights of the differences (their sum is 1), and what the search for jumps needs."""

    rate: Float[Array, "..."]
    chi_square: Float[Array, "..."]
    weights: Float[Array, "difference ..."]
    information: Float[Array, "..."]  # 1^T C^-1 1
    row_sums: Float[Array, "difference ..."]  # C^-1 1
    residuals: Float[Array, "difference ..."]  # C^-1 (d - rate)
    inverse: Covariance


def reads(groups: Sequence[Sequence[float]]) -> Reads:
    """Moments of the read times (in frames) of each group."""
    times = [np.asarray(g, float) for g in groups]
    number = np.array([len(t) for t in times])
    ranks = [2 * len(t) - 1 - 2 * np.arange(len(t)) for t in times]
    weighted = np.array([(w * t).sum() / len(t) ** 2 for w, t in zip(ranks, times, strict=True)])
    return Reads(np.array([t.mean() for t in times]), weighted, number)


def shapes(r: Reads, frame_s: Float[Array, ""]) -> tuple[Covariance, Covariance]:
    """The covariance of a unit of Poisson variance per second, and of a unit of variance per read."""
    gap = r.spacing
    product = gap[1:] * gap[:-1]
    poisson = (r.weighted[:-1] + r.weighted[1:] - 2 * r.mean[:-1]) / gap**2, (r.mean - r.weighted)[1:-1] / product
    read = (1 / r.number[:-1] + 1 / r.number[1:]) / gap**2, -1 / (r.number[1:-1] * product)
    return Covariance(*(jnp.asarray(x) / frame_s for x in poisson)), Covariance(
        *(jnp.asarray(x) / frame_s**2 for x in read)
    )


def covariance(
    units: tuple[Covariance, Covariance], poisson_per_s: Float[Array, "..."], read_variance: Float[Array, "..."]
) -> Covariance:
    """The covariance at a given Poisson variance per second and variance per read."""

    def scaled(p: Float[Array, "n"], r: Float[Array, "n"]) -> Float[Array, "n ..."]:
        p, r = (x.astype(poisson_per_s.dtype).reshape(-1, *[1] * poisson_per_s.ndim) for x in (p, r))
        return p * poisson_per_s + r * read_variance

    return Covariance(*(scaled(p, r) for p, r in zip(*units, strict=True)))


def quadratic(weights: Float[Array, "difference ..."], unit: Covariance) -> Float[Array, "..."]:
    """w^T C w."""
    diagonal, neighbour = (jnp.asarray(x, weights.dtype) for x in unit)
    return jnp.tensordot(diagonal, weights**2, 1) + 2 * jnp.tensordot(neighbour, weights[1:] * weights[:-1], 1)


def fit(difference: Float[Array, "difference ..."], usable: Bool[Array, "difference ..."], cov: Covariance) -> Fit:
    """Fit the usable differences (per second); without any all numbers are 0."""
    linked = jnp.where(usable[1:] & usable[:-1], cov.neighbour, 0)
    one = usable.astype(difference.dtype)
    start = jnp.where(usable, difference, 0).sum(0) / jnp.maximum(one.sum(0), 1)
    offset = jnp.where(usable, difference - start, 0)  # small numbers lose fewer digits
    forward = _pivots(cov.diagonal, linked)
    backward = _pivots(cov.diagonal[::-1], linked[::-1])[::-1]
    row_sums, moved = (_solve(forward, linked, rhs) for rhs in (one, offset))
    row_sums, moved = jnp.where(usable, row_sums, 0), jnp.where(usable, moved, 0)
    information = row_sums.sum(0)
    known = information > 0
    shift = jnp.where(known, (row_sums * offset).sum(0) / jnp.where(known, information, 1), 0)
    residuals = moved - shift * row_sums
    diagonal = 1 / (forward + backward - cov.diagonal)
    return Fit(
        rate=start + shift,
        chi_square=(residuals * (offset - shift * one)).sum(0),
        weights=row_sums / jnp.where(known, information, 1),
        information=information,
        row_sums=row_sums,
        residuals=residuals,
        inverse=Covariance(diagonal, -linked / backward[1:] * diagonal[:-1]),
    )


def _pivots(diagonal: Float[Array, "n ..."], neighbour: Float[Array, "m ..."]) -> Float[Array, "n ..."]:
    def advance(pivot, x):
        a, b = x
        pivot = a - b**2 / pivot
        return pivot, pivot

    _, rest = jax.lax.scan(advance, diagonal[0], (diagonal[1:], neighbour))
    return jnp.concatenate([diagonal[:1], rest])


def _solve(
    pivots: Float[Array, "n ..."], neighbour: Float[Array, "m ..."], rhs: Float[Array, "n ..."]
) -> Float[Array, "n ..."]:
    """The solution of a symmetric tridiagonal system from its forward pivots."""

    def down(y, x):
        b, pivot, value = x
        y = value - b / pivot * y
        return y, y

    def up(solution, x):
        b, pivot, y = x
        solution = (y - b * solution) / pivot
        return solution, solution

    _, y = jax.lax.scan(down, rhs[0], (neighbour, pivots[:-1], rhs[1:]))
    y = jnp.concatenate([rhs[:1], y])
    last = y[-1] / pivots[-1]
    _, rest = jax.lax.scan(up, last, (neighbour, pivots[:-1], y[:-1]), reverse=True)
    return jnp.concatenate([rest, last[None]])


class Omission(NamedTuple):
    """Chi-square saved by leaving out a difference (or it and the next), and the slope without."""

    saved: Float[Array, "n ..."]
    rate: Float[Array, "n ..."]


def without_one(f: Fit, usable: Bool[Array, "difference ..."]) -> Omission:
    """What leaving out each difference gains; nothing where it is out already or alone."""
    free = f.inverse.diagonal - f.row_sums * f.weights
    possible = usable & (usable.sum(0) >= 2) & (free > 0)
    jump = jnp.where(possible, f.residuals / jnp.where(possible, free, 1), 0)
    return Omission(jump * f.residuals, f.rate - f.weights * jump)


def without_two(f: Fit, usable: Bool[Array, "difference ..."], one: Omission) -> Omission:
    """What leaving out each pair of neighbours gains; where one of them is out already, what the other does."""
    free = f.inverse.diagonal - f.row_sums * f.weights
    cross = f.inverse.neighbour - f.row_sums[1:] * f.weights[:-1]
    determinant = free[1:] * free[:-1] - cross**2
    both = usable[1:] & usable[:-1]
    possible = both & (usable.sum(0) >= 3) & (determinant > 0)
    scale = jnp.where(possible, 1 / jnp.where(possible, determinant, 1), 0)
    first, second = f.residuals[:-1], f.residuals[1:]
    jump_first = (free[1:] * first - cross * second) * scale
    jump_second = (free[:-1] * second - cross * first) * scale
    pair = Omission(
        jump_first * first + jump_second * second,
        f.rate - f.weights[:-1] * jump_first - f.weights[1:] * jump_second,
    )
    return Omission(
        *(jnp.where(both, p, jnp.where(usable[:-1], o[:-1], o[1:])) for p, o in zip(pair, one, strict=True))
    )


@partial(jax.custom_jvp, nondiff_argnums=(3, 4, 5))
def search(
    difference: Float[Array, "difference ..."],
    usable: Bool[Array, "difference ..."],
    cov: Covariance,
    averaged: bool,
    threshold_one: float,
    threshold_two: float,
) -> tuple[Bool[Array, "difference ..."], Float[Array, "..."]]:
    """Usable differences less those that are jumps, and the slope without them.

    Turn by turn each ramp gives up the difference (or, where groups average several reads, the pair of neighbours) that
    saves most chi-square above its threshold, as long as four are left. The derivative of the slope is that of the fit
    of what is left, which has the same slope; what is left is a decision.
    """

    def turn(carry):
        usable, rate, active, count = carry
        f = fit(difference, usable, cov)
        rate = jnp.where(count == 0, f.rate, rate)
        one = without_one(f, usable)
        best_one = one.saved.max(0)
        excess, drop = best_one - threshold_one, one.saved == best_one
        new_rate = jnp.where(drop, one.rate, 0).sum(0) / drop.sum(0)
        if averaged:
            two = without_two(f, usable, one)
            best_two = two.saved.max(0)
            pair = two.saved == best_two
            in_pair = jnp.concatenate([pair, jnp.zeros_like(pair[:1])]) | jnp.concatenate(
                [jnp.zeros_like(pair[:1]), pair]
            )
            single = excess > best_two - threshold_two
            excess = jnp.where(single, excess, best_two - threshold_two)
            drop = jnp.where(single, drop, in_pair)
            new_rate = jnp.where(single, new_rate, jnp.where(pair, two.rate, 0).sum(0) / pair.sum(0))
        jumped = active & (excess > 0)
        usable = usable & ~(drop & jumped)
        active = jumped & (usable.sum(0) >= FEWEST_TO_SEARCH)
        return usable, jnp.where(jumped, new_rate, rate), active, count + 1

    shape = difference.shape[1:]
    start = usable, jnp.zeros(shape, difference.dtype), jnp.ones(shape, bool), 0
    going = lambda c: c[2].any() & (c[3] < len(difference))  # noqa: E731
    usable, rate, _, _ = jax.lax.while_loop(going, turn, start)
    return usable, rate


@search.defjvp
def _search_jvp(averaged: bool, threshold_one: float, threshold_two: float, primals: Any, tangents: Any) -> Any:
    difference, usable, cov = primals
    kept, rate = search(difference, usable, cov, averaged, threshold_one, threshold_two)
    _, change = jax.jvp(lambda d, c: fit(d, kept, c).rate, (difference, cov), (tangents[0], tangents[2]))
    return (kept, rate), (np.zeros(kept.shape, jax.dtypes.float0), change)
