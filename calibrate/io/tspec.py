"""The planet's spectrum on disk: `_tspec.ecsv` for reading, `_tspec.fits` with the covariance beside it."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyWarning

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.atomic import whole
from uptheramp.calibrate.state import PlanetSpectrum

COLUMNS = ("wavelength", "half_width", "depth", "error")


def write(folder: Path, root: str, spectrum: PlanetSpectrum, meta: dict[str, Any]) -> tuple[Path, Path]:
    """Write `<root>_tspec.ecsv` and `<root>_tspec.fits` into `folder`; `meta` goes into the first one's header.

    Wavelength and half width in micron; depth (rp/R*)^2 (or Fp/F*) and its error are ratios. The FITS file has the same
    table (extension TSPEC) and the covariance of the depths (image COVARIANCE).
    """
    table = Path(folder) / f"{root}_tspec.ecsv"
    image = Path(folder) / f"{root}_tspec.fits"
    with whole(table) as temporary:
        as_table(spectrum, meta).write(temporary, format="ascii.ecsv", overwrite=True)
    with whole(image) as temporary:
        as_hdus(spectrum).writeto(temporary, overwrite=True)
    return table, image


def as_table(spectrum: PlanetSpectrum, meta: dict[str, Any]) -> Table:
    """Arrange the spectrum in columns with units."""
    values = (spectrum.wavelength_um, spectrum.half_width_um, spectrum.depth, spectrum.error)
    table = Table([np.asarray(v, float) for v in values], names=COLUMNS, meta=dict(meta))
    for name, unit in zip(COLUMNS, (units.um, units.um, units.one, units.one), strict=True):
        table[name].unit = unit
    return table


def as_hdus(spectrum: PlanetSpectrum) -> fits.HDUList:
    """Arrange the spectrum and its covariance in a FITS file."""
    rows = fits.BinTableHDU(as_table(spectrum, {}), name="TSPEC")
    covariance = fits.ImageHDU(np.asarray(spectrum.covariance, float), name="COVARIANCE")
    covariance.header["BUNIT"] = ("", "depth squared")
    return fits.HDUList([fits.PrimaryHDU(), rows, covariance])


def read(path: Path) -> PlanetSpectrum:
    """Read either file; the table alone gives a diagonal covariance.

    Raises
    ------
    InputError
        If the file is missing, cut off or no planet spectrum.
    """
    path = Path(path)
    try:
        if path.suffix == ".fits":
            with warnings.catch_warnings(), fits.open(path, memmap=False) as hdus:
                warnings.simplefilter("error", AstropyWarning)  # a file that is cut off
                columns = [np.array(hdus["TSPEC"].data[name], float) for name in COLUMNS]
                covariance = np.array(hdus["COVARIANCE"].data, float)
        else:
            table = Table.read(path, format="ascii.ecsv")
            columns = [np.array(table[name], float) for name in COLUMNS]
            covariance = np.diag(columns[3] ** 2)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, KeyError, ValueError, TypeError, AstropyWarning) as error:
        raise InputError(f"{path}: not a planet spectrum (_tspec.ecsv or _tspec.fits): {first_line(error)}") from None
    wavelength, half_width, depth, _ = columns
    return PlanetSpectrum(wavelength, half_width, depth, covariance)


def first_line(error: Exception) -> str:
    """Shorten an error's text to its first line."""
    return next(iter(str(error).splitlines()), type(error).__name__)
