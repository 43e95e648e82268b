"""Prism spectra of the MIRI imager: SPECWCS tabulates the wavelength by row, relative to a reference point.

The official model bends the trace in x, but wavelengths depend on the row alone.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references.optics import sky, trees
from uptheramp.calibrate.references.optics.light import Light, barycentric

REFTYPES = ("specwcs",)
SMOOTHING = 0.002  # sum of squares (um2, px2) that the official splines may leave of a column of the table
REFERENCE_COLUMNS = 4  # at the left edge of the slitless window

Table = Mapping[str, np.ndarray]
Box = Callable[[Table, float, float, ExposureMeta], tuple[float, float, float, float]]  # left, right, bottom, top pixel


def slitless(paths: Mapping[str, Path], meta: ExposureMeta) -> Light:
    """Wavelengths as jwst 3.0.0 assign_wcs (miri.lrs, MIR_LRS-SLITLESS): all columns but the reference pixels."""
    return _light(paths["specwcs"], meta, ("IMXSLTL", "IMYSLTL"), _window)


def slit(paths: Mapping[str, Path], meta: ExposureMeta) -> Light:
    """Wavelengths as jwst 3.0.0 assign_wcs (miri.lrs, MIR_LRS-FIXEDSLIT): the columns of the slit."""
    return _light(paths["specwcs"], meta, ("IMX", "IMY"), _slit)


def place(paths: Mapping[str, Path], meta: ExposureMeta) -> tuple[float, float, float]:
    """Where the target lies in the slit (pixels along and across, from the reference point); the scale, arcsec/pixel.

    As jwst 3.0.0 pathloss get_center: from TARG_RA and TARG_DEC through the pointing and DISTORTION, in the row of the
    reference point, to which the trace bends. The place across the slit is not told: 0. In the middle where the header
    lacks coordinates.
    """
    table, (x_ref, y_ref) = _read(paths["specwcs"], meta, ("IMX", "IMY"))
    (distortion,) = trees.read(paths["distortion"], "model")
    x, y = x_ref + meta.x_start - 1, y_ref + meta.y_start - 1
    (v2, v3), (v2_next, v3_next) = distortion(x, y), distortion(x + 1, y)
    geometry = meta.geometry
    scale = float(np.hypot(v2_next - v2, v3_next - v3)) * (getattr(geometry, "va_scale", None) or 1.0)
    if geometry is None or not sky.known(geometry):
        return 0.0, 0.0, scale
    straight = distortion.inverse(*sky.target_v2v3(geometry))[0]
    rising = np.argsort(table["y_center"])
    rows = table["y_center"][rising]
    bend = np.interp(0.0, rows, _smoothed(rows, table["x_center"][rising]))
    return float(straight - x + bend), 0.0, scale


def _smoothed(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The official spline through a column of the table, at its rows."""
    from scipy.interpolate import UnivariateSpline

    return np.asarray(UnivariateSpline(rows, values, s=SMOOTHING)(rows))


def _window(table: Table, x_ref: float, y_ref: float, meta: ExposureMeta) -> tuple[float, float, float, float]:
    bottom, top = np.floor(table["y2"].min() + y_ref), np.ceil(table["y0"].max() + y_ref)
    return meta.x_start - 1 + REFERENCE_COLUMNS, meta.x_size - 1, bottom, top


def _slit(table: Table, x_ref: float, y_ref: float, meta: ExposureMeta) -> tuple[float, float, float, float]:
    return np.floor(table["x0"].min() + x_ref), np.ceil(table["x1"].max() + x_ref), -np.inf, np.inf


def _light(path: Path, meta: ExposureMeta, point: tuple[str, str], box: Box) -> Light:
    """Evaluate the table in the rows that it covers and the box that is lit."""
    table, (x_ref, y_ref) = _read(path, meta, point)
    rising = np.argsort(table["y_center"])
    rows, wavelength = (table["y_center"] + y_ref)[rising], table["wavelength"][rising]
    # parity: the official model smooths, then draws straight lines between the rows of its table
    smooth = _smoothed(rows, wavelength) * barycentric(meta)
    y, x = np.arange(meta.y_size), np.arange(meta.x_size)
    along = np.interp(y, rows, smooth, left=np.nan, right=np.nan)
    left, right, bottom, top = box(table, x_ref, y_ref, meta)
    lit = ((y >= bottom) & (y <= top))[:, None] & (x >= left) & (x <= right)
    return Light(np.where(lit, along[:, None], np.nan))


def _read(path: Path, meta: ExposureMeta, point: tuple[str, str]) -> tuple[dict[str, np.ndarray], tuple[float, float]]:
    """The table, and the reference point as a 0-based pixel of the window."""
    with fits.open(path, memmap=False) as hdus:
        header = hdus[0].header
        missing = [key for key in point if header.get(key) is None]
        if "WAVETABLE" not in hdus or missing:
            lacks = ", ".join(missing or ["the extension WAVETABLE"])
            raise InputError(f"{path}: lacks {lacks}; it is not a SPECWCS of the MIRI prism, give another")
        rows = hdus["WAVETABLE"].data
        table = {name.lower(): np.asarray(rows[name], float) for name in rows.names}
        x, y = (float(header[key]) for key in point)
    return table, (x - meta.x_start, y - meta.y_start)
