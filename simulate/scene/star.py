"""The star: spectral shape, brightness, photons at the telescope."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Curve
from uptheramp.simulate.scene import atmospheres
from uptheramp.simulate.scene.limb_darkening import LimbDarkening

K_WAVELENGTH_UM = 2.159
K_ZERO_JY = 666.7  # 2MASS Ks, Cohen et al. 2003
PLANCK_J_S = 6.62607015e-34
SECOND_RADIATION_UM_K = 14387.769


@dataclass(frozen=True)
class Star:
    """A star of a given K magnitude: a black body, a model atmosphere, or a table (micron -> Jy in any scale)."""

    k_mag: float
    teff_k: float = 5500.0
    table: Curve | None = None
    model: Literal["blackbody", "atmosphere"] = "blackbody"
    limb_darkening: LimbDarkening | None = None  # None: the planet's u1 and u2

    def __post_init__(self):
        if self.model == "atmosphere" and self.table is not None:
            raise InputError('star: give a table or model = "atmosphere", not both')
        if self.model == "atmosphere":
            atmospheres.ratio(self.teff_k, np.array([K_WAVELENGTH_UM]))  # refuses temperatures that are not in the grid
        if not 1000 <= self.teff_k <= 60000:
            raise InputError(f"star.teff_k = {self.teff_k} is no temperature of a star; give 1000 to 60000 K")
        if not np.isfinite(self.k_mag):
            raise InputError(f"star.k_mag = {self.k_mag} is not a magnitude")


def shape_jy(star: Star, wavelength_um: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Flux density per frequency in an arbitrary scale: the table, or Planck's law B_nu ~ nu^3 / (e^(hc/lkT) - 1).

    A model atmosphere is Planck's law times the tabulated ratio of the two.
    """
    if star.table is not None:
        return np.interp(wavelength_um, star.table.x, star.table.y)
    planck = wavelength_um**-3.0 / np.expm1(SECOND_RADIATION_UM_K / (wavelength_um * star.teff_k))
    return planck * atmospheres.ratio(star.teff_k, wavelength_um) if star.model == "atmosphere" else planck


def planck_ratio(first_k: float, second_k: float, wavelength_um: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """B(first) / B(second)."""
    of = SECOND_RADIATION_UM_K / wavelength_um
    return np.expm1(of / second_k) / np.expm1(of / first_k)


def flux_jy(star: Star, wavelength_um: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Flux density at the telescope, Jy, normalised at 2.159 um to the K magnitude."""
    zero = shape_jy(star, np.asarray(K_WAVELENGTH_UM))
    return K_ZERO_JY * 10 ** (-0.4 * star.k_mag) * shape_jy(star, wavelength_um) / zero


def photon_rate(star: Star, wavelength_um: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Photons / s / m2 / micron: F_nu / (h lambda)."""
    return flux_jy(star, wavelength_um) * 1e-26 / (PLANCK_J_S * wavelength_um)
