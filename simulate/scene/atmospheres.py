"""A small grid of stellar model atmospheres: their flux over that of a black body of the same temperature.

ATLAS9 (Castelli & Kurucz 2004), solar metallicity, log g = 4.5, in bins of one resolving power from 0.5 to 20 micron:
broad features and the H- opacity minimum, no lines. Made by `benchmarks/make_atmospheres.py`.
"""

from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.errors import InputError


@cache
def grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wavelengths (micron), temperatures (K), ratios (wavelength, temperature)."""
    text = (files("uptheramp.simulate.scene") / "atmospheres.csv").read_text().splitlines()
    rows = [line.split(",") for line in text if not line.startswith("#")]
    numbers = np.array(rows[1:], float)
    return numbers[:, 0], np.array(rows[0][1:], float), numbers[:, 1:]


def ratio(teff_k: float, wavelength_um: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return F_nu / B_nu(teff), linear in temperature and in log wavelength, constant beyond the tabulated wavelengths.

    Raises
    ------
    InputError
        For a temperature outside the grid.
    """
    lam, teff, table = grid()
    if not teff[0] <= teff_k <= teff[-1]:
        raise InputError(f"star.teff_k = {teff_k}: the atmospheres go from {teff[0]:.0f} to {teff[-1]:.0f} K")
    upper = int(np.clip(np.searchsorted(teff, teff_k), 1, len(teff) - 1))
    share = (teff_k - teff[upper - 1]) / (teff[upper] - teff[upper - 1])
    at = (1 - share) * table[:, upper - 1] + share * table[:, upper]
    return np.interp(np.log(wavelength_um), np.log(lam), at)
