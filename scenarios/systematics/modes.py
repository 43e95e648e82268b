"""Noise of an even image in cosine modes: what neighbours share and what runs along a line, mode by mode.

Residuals of an image are taken apart into the cosines c_k(x) c_l(y) (DCT-II, orthonormal). The expected power of a mode
is exact for a window cut from a larger field, whatever the covariance of pixels is, as long as it depends on distance:

    P_kl = sum_dx,dy r(dx, dy) rho_k(dx) rho_l(dy),    rho_k(d) = sum_i c_k(i) c_k(i + d).

That modes are correlated near the edges of the window is left out.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.fft import dctn

from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.simulate.detector.one_over_f import poles


def transformed(images: Float[np.ndarray, "... y x"]) -> Float[np.ndarray, "... l k"]:
    """Amplitudes of the modes."""
    return np.asarray(dctn(images, axes=(-2, -1), norm="ortho"))


def overlaps(size: int, reach: int) -> Float[np.ndarray, "mode distance"]:
    """rho_k(d) for distances 0 ... reach."""
    basis = _basis(size)
    return np.stack([np.sum(basis[:, : size - d] * basis[:, d:], axis=1) for d in range(reach + 1)], axis=1)


def coupling(
    alpha: Float[Array, "2"], along_x: Float[np.ndarray, "k d"], along_y: Float[np.ndarray, "l d"]
) -> Float[Array, "l k"]:
    """Power of modes of white noise that a coupling alpha (x, y) has mixed: r is the kernel with itself.

    r(0,0) = m^2 + 2 ax^2 + 2 ay^2, r(1,0) = 2 ax m, r(2,0) = ax^2, r(1,1) = 2 ax ay, with m = 1 - 2 ax - 2 ay.
    """
    ax, ay = alpha
    m = 1 - 2 * ax - 2 * ay
    x, y = along_x[None], along_y[:, None]
    power = (m**2 + 2 * ax**2 + 2 * ay**2) * x[..., 0] * y[..., 0]
    power = power + 2 * (2 * ax * m * x[..., 1] + ax**2 * x[..., 2]) * y[..., 0]
    power = power + 2 * (2 * ay * m * y[..., 1] + ay**2 * y[..., 2]) * x[..., 0]
    return power + 8 * ax * ay * x[..., 1] * y[..., 1]


def pink(
    lines: int, streams: Float[np.ndarray, "stream pixel sample"], line_clocks: int, frame_clocks: int, reads: int
) -> Float[np.ndarray, "pole lag line_mode fast_mode"]:
    """Power of modes by each pole of 1/f noise of unit variance, between reads 0 ... reads - 1 frames apart.

    `streams` says how the samples of a line, one a clock, show in its pixels; those of different streams have nothing
    in common. Covariance of two samples by a pole: exp(-r |t - t'|), which between different lines is a product of one
    factor for each of them. Lines last longer than their samples.
    """
    rate, _ = poles()
    size = streams.shape[-1]
    fast = np.einsum("kx,oxi->oki", _basis(streams.shape[1]), streams)
    fading = np.exp(-np.outer(rate, np.arange(size)) * CLOCK_S)
    shared = np.einsum("oki,pi->opk", fast, fading) * np.einsum("oki,pi->opk", fast, fading[:, ::-1])
    shared = shared.sum(0)  # (pole, fast mode)
    inside = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    same = np.einsum("oki,pij,okj->pk", fast, fading[:, inside], fast, optimize=True)
    apart = np.arange(1 - lines, lines)
    slow = overlaps(lines, lines - 1)[:, np.abs(apart)]
    out = np.zeros((len(rate), reads, lines, streams.shape[1]))
    for lag in range(reads):
        clocks = np.abs(lag * frame_clocks + apart * line_clocks)
        other = clocks > 0
        far = np.exp(-np.outer(rate, clocks[other] - (size - 1)) * CLOCK_S)
        out[:, lag] = np.einsum("la,pa->pl", slow[:, other], far)[:, :, None] * shared[:, None]
        if not other.all():
            out[:, lag] += slow[:, ~other].sum(1)[:, None] * same[:, None]
    return out


def _basis(size: int) -> Float[np.ndarray, "mode pixel"]:
    """Orthonormal cosines, mode by mode."""
    return np.asarray(dctn(np.eye(size), axes=(0,), norm="ortho"))


def whittle(
    scatter: Float[Array, "mode n n"], freedom: Float[Array, ""], factor_inverse: Float[Array, "mode n n"]
) -> Float[Array, ""]:
    """-ln L of normal modes whose scatter matrices sum `freedom` outer products: (f ln|C| + tr C^-1 S) / 2, summed.

    `factor_inverse` is the inverse Cholesky factor of each C.
    """
    log = -2 * jnp.log(jnp.diagonal(factor_inverse, axis1=-2, axis2=-1)).sum()
    white = jnp.einsum("mij,mjk,mik->", factor_inverse, scatter, factor_inverse)
    return (freedom * log + white) / 2
