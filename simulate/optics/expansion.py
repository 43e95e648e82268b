"""Images that move and widen by little, as polynomials: exact to 1e-7 of their peak within a stated reach.

An image is a smooth function of a few numbers: its shift (px) along an axis or two, the relative change of its width.
On [-reach, reach] it is the sum of coefficient images times Chebyshev polynomials, for two numbers

    f(x, w) = sum_k c_k T_i(x / X) T_j(w / W),

of which only terms above TOLERANCE are kept: one where nothing moves, half a dozen for the jitter of JWST.
"""

import functools
import operator
from collections.abc import Callable
from itertools import product

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.fft import dct

TOLERANCE = 1e-7  # of the largest value; float32 has no more
TRIED = (8, 16, 32)  # nodes an axis, until the last coefficients are below the tolerance


class Expansion(eqx.Module):
    """The coefficient arrays and, for each, the degrees of its polynomials, one an axis."""

    coefficients: Float[Array, "term ..."]
    reach: Float[Array, "axis"]
    degrees: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    def at_rest(self) -> Float[Array, "..."]:
        """Give the value at zero on every axis: T_k(0) is 0, 1 or -1."""
        zero = [float(np.prod([np.cos(np.pi / 2 * k).round() for k in degrees])) for degrees in self.degrees]
        return functools.reduce(operator.add, (z * c for z, c in zip(zero, self.coefficients, strict=True) if z))

    def single(self) -> "Expansion":
        """Return it with coefficients in single precision."""
        return Expansion(self.coefficients.astype(np.float32), self.reach, self.degrees)

    def weights(self, *values: Float[Array, "..."]) -> Float[Array, "... term"]:
        """Factor of each coefficient at these values, one array an axis, broadcast against each other."""
        factor = jnp.ones(())
        for axis, value in enumerate(values):
            wanted = [degrees[axis] for degrees in self.degrees]
            factor = factor * chebyshev(value / self.reach[axis], max(wanted))[..., wanted]
        return factor


def chebyshev(x: Float[Array, "..."], degree: int) -> Float[Array, "... term"]:
    """T_0 ... T_degree by their recurrence, which also holds beyond [-1, 1]."""
    terms = [jnp.ones_like(x), x]
    for _ in range(degree - 1):
        terms.append(2 * x * terms[-1] - terms[-2])
    return jnp.stack(terms[: degree + 1], axis=-1)


def expand(f: Callable[..., np.ndarray], reach: tuple[float, ...]) -> Expansion:
    """Return the expansion of `f(*values)` for values up to +-`reach`, made in numpy; a reach of 0 is a fixed value."""
    axes = range(len(reach))
    scale = np.abs(f(*(0.0 for _ in axes))).max()

    def along(axis: int) -> Callable[[float], np.ndarray]:
        return lambda t: f(*(t if a == axis else 0.0 for a in axes))

    counts = [_degree(along(axis), r, scale) + 1 for axis, r in enumerate(reach)]
    nodes = [r * _nodes(n) for r, n in zip(reach, counts, strict=True)]
    values = np.stack([f(*at) for at in product(*nodes)])
    grid = values.reshape(*counts, *values.shape[1:])
    for axis in axes:
        grid = _coefficients(grid, axis)
    kept = [k for k in product(*map(range, counts)) if np.abs(grid[k]).max() > TOLERANCE * scale or not any(k)]
    divisor = np.array([r or 1.0 for r in reach])
    return Expansion(np.stack([grid[k] for k in kept]), divisor, tuple(kept))


def _nodes(count: int) -> np.ndarray:
    return np.cos(np.pi * (np.arange(count) + 0.5) / count)


def _coefficients(values: np.ndarray, axis: int) -> np.ndarray:
    """Chebyshev coefficients from values at the nodes along an axis."""
    out = dct(values, axis=axis) / values.shape[axis]
    first = [slice(None)] * out.ndim
    first[axis] = slice(0, 1)
    out[tuple(first)] /= 2
    return out


def _degree(f: Callable[[float], np.ndarray], reach: float, scale: float) -> int:
    """Return the highest degree along one axis whose coefficient matters."""
    if reach == 0:
        return 0
    for count in TRIED:
        values = np.stack([f(float(t)) for t in reach * _nodes(count)])
        size = np.abs(_coefficients(values, 0)).reshape(count, -1).max(1)
        used = np.flatnonzero(size > TOLERANCE * scale)
        if used[-1] < count - 2:
            break
    return int(used[-1])
