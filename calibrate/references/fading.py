"""How throughput changes with time: the TIMECOEFF tables of PHOTOM files, a row for each row of the conversions."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits

from uptheramp.calibrate.errors import InputError

YEAR_D = 365.0  # as the tables count


def linear(days: float, c: Mapping[str, float]) -> float:
    """A steady loss, `1 - lossperyear t / 365`."""
    return 1 - c["lossperyear"] * days / YEAR_D


def exponential(days: float, c: Mapping[str, float]) -> float:
    """A loss that comes to rest, `amplitude exp(-t / tau) + const`."""
    return c["amplitude"] * np.exp(-days / c["tau"]) + c["const"]


def powerlaw(days: float, c: Mapping[str, float]) -> float:
    """A loss that slows down, `year1value ((t + tsoft) / (365 + tsoft))^alpha`."""
    return c["year1value"] * ((days + c["tsoft"]) / (YEAR_D + c["tsoft"])) ** c["alpha"]


LAWS: dict[str, Callable[[float, Mapping[str, float]], float]] = {
    "TIMECOEFF_LINEAR": linear,
    "TIMECOEFF_EXPONENTIAL": exponential,
    "TIMECOEFF_POWERLAW": powerlaw,
}


def fading(hdus: fits.HDUList, row: int, mjd: float, path: Path) -> float:
    """Throughput at a time over that of the table: the product of the laws that the file holds, 1 without any.

    `t` is in days from the row's `t0` (MJD). Conversions are divided by it (jwst 3.0.0 photom, time_dependence).

    Raises
    ------
    InputError
        If a table of coefficients has no such row.
    """
    total = 1.0
    for name, law in LAWS.items():
        if name not in hdus:
            continue
        table = hdus[name].data
        if len(table) <= row:
            raise InputError(f"{path}: {name} has {len(table)} rows and PHOTOM more; give a consistent file")
        values = {column: float(table[column][row]) for column in table.names if table[column].dtype.kind == "f"}
        total *= law(mjd - values["t0"], values)
    return total
