"""Light curves from files of many makers, as `LightCurves` in one time scale.

Read are
- tables (ECSV, CSV, text): columns named for time and flux, one row per time (`_whtlt.ecsv`, `_phot.ecsv`) or, with a
  wavelength column too, one row per time and wavelength; without names: time, flux and, if there, error;
- `.npy` arrays whose rows (or columns) are time, flux and, if there, error (the WASP-39 b SOSS white light curve that
  exoUPRF distributes);
- FITS files with the extensions TIME_x, WAVE_x, DATA_x of ExoIris (the HAT-P-18 b SOSS light curves).

Inside, times are BJD_TDB - 2400000.5 d. Numbers above 2400000 are taken as Julian dates; MJD and BJD - 2400000.5 are
taken as they stand (a UTC or geocentric time is not corrected: up to 8.3 minutes).
"""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from astropy.io import ascii as tables
from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyWarning
from jaxtyping import Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.state import LightCurves

JD_OF_MJD = 2400000.5
TIME = (
    "bjd_tdb",
    "bjd-tdb",
    "bjd",
    "time_bjd",
    "tdb-mid",
    "int_mid_bjd_tdb",
    "time",
    "t",
    "mjd",
    "mjd_utc",
    "mjd-avg",
    "jd",
)
FLUX = ("whitelight_flux", "flux", "white_flux", "lc", "y", "whitelight_flux_order_1", "net_aperture_sum")
ERROR = (
    "whitelight_flux_error",
    "flux_err",
    "flux_error",
    "error",
    "err",
    "uncertainty",
    "sigma",
    "yerr",
    "whitelight_flux_error_order_1",
    "net_aperture_sum_err",
)
WAVELENGTH = ("wavelength", "wavelength_um", "wave", "wl", "lambda")


def read(path: Path) -> LightCurves:
    """Read the light curves of a file.

    Raises
    ------
    InputError
        One line, if the file is missing, garbled, or holds no times and fluxes.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    reader = {".npy": _npy, ".fits": _fits}.get(path.suffix.lower(), _table)
    try:
        return reader(path)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AstropyWarning,
        tables.InconsistentTableError,
    ) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: cannot be read as light curves ({reason}); needs times and fluxes") from None


def to_one_scale(time: Float[np.ndarray, "time"]) -> Float[np.ndarray, "time"]:
    """Bring times to days since 2400000.5: Julian dates are recognised by their size."""
    return np.where(np.abs(time) > 1e6, time - JD_OF_MJD, time)


def light_curves(
    time: Float[np.ndarray, "time"],
    flux: Float[np.ndarray, "channel time"],
    err: Float[np.ndarray, "channel time"] | None = None,
    wavelength_um: Float[np.ndarray, "channel"] | None = None,
    exposure_s: float | None = None,
) -> LightCurves:
    """Assemble arrays, in order of time; the exposure is the median cadence where it is not given.

    Raises
    ------
    ValueError
        If fewer than 10 points have a finite time and flux, or two share a time.
    """
    time = np.asarray(time, float)
    flux = np.atleast_2d(np.asarray(flux, float))
    err = np.full_like(flux, np.nan) if err is None else np.atleast_2d(np.asarray(err, float))
    order = np.argsort(time, kind="stable")
    order = order[np.isfinite(time[order])]
    time, flux, err = to_one_scale(time[order]), flux[:, order], err[:, order]
    if np.isfinite(flux).any(axis=0).sum() < 10:
        raise ValueError("fewer than 10 usable points")
    if np.any(np.diff(time) <= 0):
        raise ValueError("two points have the same time")
    wavelength = np.full(len(flux), np.nan) if wavelength_um is None else np.asarray(wavelength_um, float)
    half_width = 0.5 * np.abs(np.gradient(wavelength)) if len(wavelength) > 1 else np.zeros(1)
    cadence_s = float(np.median(np.diff(time))) * 86400.0 if exposure_s is None else exposure_s
    return LightCurves(time, np.float64(cadence_s), flux, err, wavelength, half_width, np.zeros(len(flux)))


def _npy(path: Path) -> LightCurves:
    array = np.load(path, allow_pickle=False)
    if array.ndim != 2 or not 2 <= min(array.shape) <= 3:
        raise ValueError(f"array of shape {array.shape}, not (2 or 3, times)")
    rows = array if array.shape[0] < array.shape[1] else array.T
    return light_curves(rows[0], rows[1], rows[2] if len(rows) == 3 else None)


def _fits(path: Path) -> LightCurves:
    with warnings.catch_warnings(), fits.open(path, memmap=False) as hdus:
        warnings.simplefilter("error", AstropyWarning)  # a file that is cut off
        parts = {hdu.name.split("_")[0]: hdu.data for hdu in hdus[1:]}
    flux, err = np.asarray(parts["DATA"], float)
    flux = np.where(np.asarray(parts["MASK"], bool), flux, np.nan) if "MASK" in parts else flux
    return light_curves(np.asarray(parts["TIME"], float), flux, err, np.asarray(parts["WAVE"], float))


def _table(path: Path) -> LightCurves:
    table = _parse(path)
    time = _column(table, TIME)
    flux = _column(table, FLUX)
    if time is None or flux is None:
        time, flux, *rest = _unnamed(table)
        return light_curves(time, flux, rest[0] if rest else None)
    err, wavelength = _column(table, ERROR), _column(table, WAVELENGTH)
    told = table.meta or {}
    exposure_s = told.get("exposure_s")
    if wavelength is None:
        band = told.get("wavelength_um")
        return light_curves(time, flux, err, None if band is None else np.array([band]), exposure_s)
    return _long(time, flux, err, wavelength, exposure_s)


def _long(time, flux, err, wavelength, exposure_s) -> LightCurves:
    """Reshape one row per time and wavelength into a grid; what is absent is NaN."""
    times, column = np.unique(time, return_inverse=True)
    waves, row = np.unique(wavelength, return_inverse=True)
    grids = []
    for values in (flux, np.full_like(flux, np.nan) if err is None else err):
        grid = np.full((len(waves), len(times)), np.nan)
        grid[row, column] = values
        grids.append(grid)
    return light_curves(times, *grids, wavelength_um=waves, exposure_s=exposure_s)


def _parse(path: Path) -> Table:
    first = path.read_bytes()[:4096]
    if b"\0" in first:
        raise ValueError("binary, not text")
    if first.startswith(b"# %ECSV"):
        return Table.read(path, format="ascii.ecsv")
    named = Table.read(path, format="ascii", fast_reader=False)
    numeric = all(_is_number(name) for name in named.colnames)
    return Table.read(path, format="ascii.no_header", fast_reader=False) if numeric else named


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _column(table: Table, names: Sequence[str]) -> Float[np.ndarray, "row"] | None:
    known = {name.strip().lower(): name for name in table.colnames}
    found = next((known[name] for name in names if name in known), None)
    return None if found is None else _floats(table, found)


def _floats(table: Table, name: str) -> Float[np.ndarray, "row"]:
    return np.ma.filled(np.ma.asarray(table[name]).astype(float), np.nan)


def _unnamed(table: Table) -> Iterable[Float[np.ndarray, "row"]]:
    """Take the first two or three columns that are numbers, if no name says anything else."""
    numeric = [name for name in table.colnames if table[name].dtype.kind in "fi"]
    if not all(name.startswith("col") for name in table.colnames) or len(numeric) < 2:
        raise ValueError(f"no columns for time and flux among {', '.join(table.colnames)}")
    return [_floats(table, name) for name in numeric[:3]]
