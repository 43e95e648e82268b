"""The polynomial of the LINEARITY reference, fitted to flat ramps pixel by pixel.

A flat ramp has r dt = dS + sum_n p_n d(S^n) between reads, with the unknown rate r: linear least squares in r and p_n,
on differences, whose noise is independent from read to read. S and p are in units of the full well.
"""

from math import comb

import numpy as np
from jaxtyping import Float

from uptheramp.simulate.calibration.programme import FlatRamp

DEGREE = 7  # leaves 5e-5 of the slope below 80 % of the well; degree 5 leaves 7e-4
FITTED_FILL = 0.97  # of the well; above, pixels count as saturated
ROWS = 32  # lines solved at a time, to bound memory


def fit(ramp: FlatRamp, well_e: float) -> Float[np.ndarray, "n y x"]:
    """Coefficients p_2 ... p_DEGREE (well units) with which S + sum p_n S^n grows linearly in time."""
    used = ramp.time <= FITTED_FILL + 1e-9
    out = np.zeros((DEGREE - 1, *ramp.signal.shape[1:]))
    for start in range(0, ramp.signal.shape[1], ROWS):
        rows = slice(start, start + ROWS)
        out[:, rows] = _solve(ramp.time[used], ramp.signal[used, rows] / well_e)
    return out


def _solve(time: np.ndarray, signal: np.ndarray) -> np.ndarray:
    powers = np.stack([np.diff(signal**n, axis=0, prepend=0.0) for n in range(1, DEGREE + 1)])
    rate = np.broadcast_to(np.diff(time, prepend=0.0)[:, None, None], signal.shape)
    matrix = np.moveaxis(np.concatenate([rate[None], -powers[1:]]), (0, 1), (-1, -2))
    lit = np.isfinite(matrix).all((-1, -2))
    solved = np.zeros((*lit.shape, DEGREE))
    q, r = np.linalg.qr(matrix[lit])
    side = np.einsum("prn,pr->pn", q, np.moveaxis(powers[0], 0, -1)[lit])
    solved[lit] = np.linalg.solve(r, side[..., None])[..., 0]
    return np.moveaxis(solved[..., 1:], -1, 0)


def in_dn(coefficients: Float[np.ndarray, "n y x"], well_dn: Float[np.ndarray, "y x"]) -> Float[np.ndarray, "m y x"]:
    """Coefficients c_0 ... c_DEGREE in DN for signals without bias: c_0 = 0, c_1 = 1, c_n = p_n / well^(n - 1)."""
    out = np.zeros((DEGREE + 1, *well_dn.shape))
    out[1] = 1.0
    for n in range(2, DEGREE + 1):
        out[n] = coefficients[n - 2] / well_dn ** (n - 1)
    return out


def with_pedestal(
    coefficients: Float[np.ndarray, "m y x"], pedestal_dn: Float[np.ndarray, "y x"]
) -> Float[np.ndarray, "m y x"]:
    """Return the same correction for signals that hold the pedestal: P + p(raw - P) in powers of raw."""
    out = np.zeros_like(coefficients)
    for n, c in enumerate(coefficients):
        for m in range(n + 1):
            out[m] += c * comb(n, m) * (-pedestal_dn) ** (n - m)
    out[0] += pedestal_dn
    return out
