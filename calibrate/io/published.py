"""Published transmission spectra, to compare with: wavelength, half width, depth and error from tables."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import ascii as tables
from astropy.table import Table
from jaxtyping import Float

from uptheramp.calibrate.errors import InputError

NAMED = {  # column of wavelength -> half width, depth, error, and what turns them into ratios
    "dppm": ("wave", "wave_error", "dppm", "dppm_err", 1e-6),
    "depth": ("wavelength", "half_width", "depth", "error", 1.0),
}


class Published(NamedTuple):
    """One published spectrum; depths are ratios (rp/R*)^2."""

    name: str
    wavelength_um: Float[np.ndarray, "bin"]
    half_width_um: Float[np.ndarray, "bin"]
    depth: Float[np.ndarray, "bin"]
    error: Float[np.ndarray, "bin"]


def read(path: Path) -> Published:
    """Read a table with the columns of Feinstein et al. 2023 (wave, wave_error, dppm, dppm_err) or of our `_tspec`.

    Rows whose `quality` is not 0 are left out.

    Raises
    ------
    InputError
        If the file is missing or has no such columns.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        table = Table(tables.read(text, fast_reader=False), copy=False)
        wave, width, depth, error, unit = next(v for v in NAMED.values() if set(v[:4]) <= set(table.colnames))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (tables.InconsistentTableError, OSError, StopIteration, ValueError):
        raise InputError(f"{path}: not a spectrum (columns wave, wave_error, dppm, dppm_err)") from None
    if "quality" in table.colnames:
        table = table[np.asarray(table["quality"]) == 0]
    x, dx, y, dy = (np.asarray(table[name], float) for name in (wave, width, depth, error))
    order = np.argsort(x)
    return Published(path.stem, x[order], dx[order], y[order] * unit, dy[order] * unit)
