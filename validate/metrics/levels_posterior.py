"""Levels of read-out lines with a stationary prior, seen through data: (C^-1 + N)^-1 y without C^-1.

The covariance of levels depends on the distance in lines and groups alone, so C is block Toeplitz: its products are
convolutions (FFT) over lines and segments of lines, small matrices over groups and outputs. With x = C u the system is
(1 + N C) u = y, solved by GMRES with the preconditioner (1 + n C')^-1, n the mean of the blocks of N and C' the
circulant nearest to C. That is not self-adjoint in any simple product: conjugate gradients stop early with it, and take
some hundred steps without. Source of C': Chan (1988), SIAM J. Sci. Stat. Comput. 9, 766.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Complex, Float
from numpy import ndarray
from scipy import fft
from scipy.sparse.linalg import LinearOperator, gmres

AT_ONCE = 1e6  # unknowns solved together, for the memory
TOLERANCE = 1e-3  # of the residual
KEPT_STEPS, RESTARTS = 40, 10


@dataclass(frozen=True)
class Drift:
    """C = outputs (x) lags: e-^2 between outputs, and unit covariance by distance in groups (0...), lines and segments.

    The zero of the distances of lines and segments is in the middle of `lags`; level (g, l, s) lies
    lags[g - g', lines - 1 + l - l', segments - 1 + s - s'] from (g', l', s'). Its number, without the group, is
    (l * segments + s) * outputs + output.
    """

    outputs: Float[ndarray, "output output"]
    lags: Float[ndarray, "group line_distance segment_distance"]

    @property
    def cells(self) -> tuple[int, int]:
        """Lines of a frame, segments of a line."""
        lines, segments = ((n + 1) // 2 for n in self.lags.shape[1:])
        return lines, segments

    @property
    def levels(self) -> int:
        """Levels in each group."""
        return self.cells[0] * self.cells[1] * len(self.outputs)

    @cached_property
    def _padded(self) -> tuple[int, int]:
        lines, segments = self.lags.shape[1:]
        return int(fft.next_fast_len(lines, real=True) or 0), int(fft.next_fast_len(segments) or 0)

    @cached_property
    def _spectrum(self) -> Complex[ndarray, "frequency frequency group group"]:
        return self._on_circle(self._padded, self.lags)

    def _on_circle(self, size: tuple[int, int], lags: ndarray) -> Complex[ndarray, "frequency frequency group group"]:
        """Spectral matrices of `lags` on circles of so many lines and segments; distances that coincide are added."""
        (lines, segments), groups = self.cells, np.arange(len(lags))
        kernel = np.zeros((*size, len(lags)))
        at = np.ix_(np.arange(1 - lines, lines) % size[0], np.arange(1 - segments, segments) % size[1])
        np.add.at(kernel, at, np.moveaxis(lags, 0, -1))
        by_lag = np.asarray(fft.rfftn(kernel, axes=(1, 0)))
        apart = np.subtract.outer(groups, groups)
        return np.where(apart >= 0, by_lag[..., np.abs(apart)], by_lag[..., np.abs(apart)].conj())

    def __matmul__(self, x: Float[ndarray, "level group column"]) -> Float[ndarray, "level group column"]:
        """C x."""
        out = self._filtered(self._spectrum[:, :, None], self._cell(x), self._padded)
        return np.einsum("op,lspgc->lsogc", self.outputs, out).reshape(x.shape)

    def smoother(self, mean: Float[ndarray, "group group"]) -> Callable[[ndarray], ndarray]:
        """Product with (1 + n C')^-1: n the same for each level, C' the circulant nearest to C."""
        weight = [1 - np.abs(np.arange(1 - n, n)) / n for n in self.cells]
        circle = self._on_circle(self.cells, self.lags * np.outer(*weight))
        value, vector = np.linalg.eigh(self.outputs)
        inverse = np.linalg.inv(np.eye(len(mean)) + value[:, None, None] * (mean @ circle)[:, :, None])

        def product(x: Float[ndarray, "level group column"]) -> Float[ndarray, "level group column"]:
            turned = np.einsum("po,lspgc->lsogc", vector, self._cell(x))
            out = self._filtered(inverse, turned, self.cells)
            return np.einsum("op,lspgc->lsogc", vector, out).reshape(x.shape)

        return product

    def _cell(self, x: Float[ndarray, "level group column"]) -> Float[ndarray, "line segment output group column"]:
        return x.reshape(*self.cells, len(self.outputs), *x.shape[1:])

    def _filtered(self, spectrum: ndarray, x: ndarray, size: tuple[int, int]) -> ndarray:
        lines, segments = self.cells
        moved = spectrum @ np.asarray(fft.rfftn(x, size[::-1], axes=(1, 0)))
        return np.asarray(fft.irfftn(moved, size[::-1], axes=(1, 0)))[:lines, :segments]


class _Operator(LinearOperator):
    """A product with a vector as scipy's solvers take it."""

    def __init__(self, size: int, product: Callable[[ndarray], ndarray]):
        super().__init__(np.dtype(float), (size, size))
        self._product = product

    def _matvec(self, x: ndarray) -> ndarray:
        return self._product(x)


def posterior(
    told: Callable[[ndarray], ndarray],
    mean: Float[ndarray, "group group"],
    drift: Drift,
    y: Float[ndarray, "level group column"],
) -> Float[ndarray, "level group column"]:
    """Return (C^-1 + N)^-1 y; `told` is the product with N, positive semidefinite, `mean` about what it is for a level.

    Raises
    ------
    RuntimeError
        If it does not converge.
    """
    smooth = drift.smoother(mean)
    size = np.linalg.norm(y, axis=(0, 1))
    unit = y / np.where(size > 0, size, 1)  # one tolerance for all columns
    parts = np.array_split(unit, min(unit.shape[-1], int(unit.size // AT_ONCE) + 1), axis=-1)
    return np.concatenate([_solved(told, smooth, drift, part) for part in parts], axis=-1) * size


def _solved(
    told: Callable[[ndarray], ndarray], smooth: Callable[[ndarray], ndarray], drift: Drift, y: ndarray
) -> ndarray:
    """Some columns as one system."""

    def product(v: Float[ndarray, "unknown"]) -> Float[ndarray, "unknown"]:
        u = smooth(v.reshape(y.shape))
        return (u + told(drift @ u)).ravel()

    v, failed = gmres(_Operator(y.size, product), y.ravel(), rtol=TOLERANCE, restart=KEPT_STEPS, maxiter=RESTARTS)
    if failed:
        raise RuntimeError(f"levels of lines: no solution after {KEPT_STEPS * RESTARTS} steps")
    return drift @ smooth(v.reshape(y.shape))
