"""Limb darkening: any law or table as one polynomial, I(mu) / I(1) = 1 - sum_n u_n (1 - mu)^n.

Polynomials are what the exact occultation formulae take (Agol et al. 2020). Laws that are no polynomials are fitted by
least squares in the flux they send, weight mu dmu; the fit's worst error is checked.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Curve

DEGREE = 10  # of the fitted polynomials
WORST = 2e-3  # of I(1): a table that is worse described than this is refused
MU = (np.polynomial.legendre.leggauss(64)[0] + 1) / 2
WEIGHT = np.sqrt(np.polynomial.legendre.leggauss(64)[1] / 2 * MU)


@dataclass(frozen=True)
class LimbDarkening:
    """A law with its coefficients by wavelength, or a table of intensities.

    quadratic: 1 - c1 (1 - mu) - c2 (1 - mu)^2; power2: 1 - c1 (1 - mu^c2); nonlinear: 1 - sum_n c_n (1 - mu^(n / 2)),
    n = 1 ... 4. `intensity`: one curve of I(mu) / I(1) for each entry of `wavelength_um`.
    """

    law: Literal["quadratic", "power2", "nonlinear", "intensity"]
    coefficients: tuple[Curve, ...] = ()
    wavelength_um: tuple[float, ...] = ()
    intensity: tuple[Curve, ...] = ()

    def __post_init__(self):
        wanted = {"quadratic": 2, "power2": 2, "nonlinear": 4, "intensity": 0}[self.law]
        if len(self.coefficients) != wanted:
            raise InputError(f"limb darkening {self.law} takes {wanted} coefficients, not {len(self.coefficients)}")
        if self.law == "intensity" and not (self.intensity and len(self.intensity) == len(self.wavelength_um)):
            raise InputError("limb darkening: give one intensity curve of mu for each entry of wavelength_um")


def polynomial(
    law: LimbDarkening, wavelength_um: Float[np.ndarray, "wavelength"]
) -> Float[np.ndarray, "degree wavelength"]:
    """Return u_1 ... u_n on a wavelength grid.

    Raises
    ------
    InputError
        If a table is no smooth function of mu, or brighter at the limb than can be.
    """
    if law.law == "quadratic":
        return np.stack([np.interp(wavelength_um, c.x, c.y) for c in law.coefficients])
    knots = np.unique([x for c in law.coefficients for x in c.x] or law.wavelength_um)
    basis = (1 - MU[:, None]) ** np.arange(1, DEGREE + 1)
    profile = _intensity(law, knots)
    fitted = np.linalg.lstsq(WEIGHT[:, None] * basis, WEIGHT[:, None] * (1 - profile), rcond=None)[0]
    worst = np.abs(WEIGHT[:, None] * (1 - basis @ fitted - profile)).max() / WEIGHT.max()
    if worst > WORST:
        raise InputError(f"limb darkening: the intensities are not a smooth function of mu (a fit misses {worst:.1e})")
    return np.stack([np.interp(wavelength_um, knots, u) for u in fitted])


def quadratic_of(u: Float[np.ndarray, "degree wavelength"]) -> Float[np.ndarray, "2 wavelength"]:
    """Return the quadratic law nearest to a polynomial, weight mu dmu: what a fit with two coefficients is told."""
    if len(u) == 2:
        return u
    basis = (1 - MU[:, None]) ** np.arange(1, len(u) + 1)
    return np.linalg.lstsq(WEIGHT[:, None] * basis[:, :2], WEIGHT[:, None] * (basis @ u), rcond=None)[0]


def _intensity(law: LimbDarkening, knots: Float[np.ndarray, "knot"]) -> Float[np.ndarray, "mu knot"]:
    """I(mu) / I(1) at the nodes MU."""
    if law.law == "intensity":
        return np.stack([np.interp(MU, c.x, c.y) / np.interp(1.0, c.x, c.y) for c in law.intensity], axis=1)
    c = [np.interp(knots, c.x, c.y) for c in law.coefficients]
    mu = MU[:, None]
    if law.law == "power2":
        return 1 - c[0] * (1 - mu ** c[1])
    terms = np.stack([c[n] * (1 - mu ** ((n + 1) / 2)) for n in range(4)])
    return 1 - terms.sum(0)
