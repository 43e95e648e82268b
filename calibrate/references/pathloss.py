"""PATHLOSS: how much of its light a source loses at the edges of its slit, by place in the slit and wavelength.

The official files of NIRSpec tell what a slit lets through, of a point at each place in it and of a uniform source;
that of the MIRI prism tells the factor that a point needs, 1 in the middle of the slit.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references.optics import rows, slit, source

UM_PER_M = 1e6
PARTS = {"NRS_FIXEDSLIT": slit.REFTYPES, "MIR_LRS-FIXEDSLIT": ("specwcs", "distortion")}


class Pathloss(eqx.Module):
    """Tables by wavelength (micron, rising) and place, and where the source is, `place_px` as (column, row) of `point`.

    `uniform` is that of a source that fills the slit; None where the file has none. `multiplies`: the tables hold
    factors on the data, else what the data are to be divided by. Beyond the outer places of the table a source is
    corrected as if it were at `otherwise_px`; None: not at all. `row_per_arcsec` turns offsets across the slit that the
    user gives into rows; 0 where they are not asked for. `applied`: which of the tables corrects the data.
    """

    wavelength_um: Float[np.ndarray | Array, "knot"]
    point: Float[np.ndarray | Array, "knot row column"]
    place_px: Float[np.ndarray | Array, "2"]
    uniform_um: Float[np.ndarray | Array, "uniform_knot"] | None = None
    uniform: Float[np.ndarray | Array, "uniform_knot"] | None = None
    otherwise_px: Float[np.ndarray | Array, "2"] | None = None
    row_per_arcsec: float = eqx.field(static=True, default=0.0)
    multiplies: bool = eqx.field(static=True, default=False)
    applied: str = eqx.field(static=True, default="point")

    @classmethod
    def parts(cls, meta: ExposureMeta) -> tuple[str, ...]:
        """REFTYPEs: its own, and those that say where the source stands in the slit."""
        return ("pathloss", *PARTS[meta.exp_type]) if meta.exp_type in PARTS else ()

    @classmethod
    def from_parts(cls, paths: Mapping[str, Path], meta: ExposureMeta) -> "Pathloss":
        """Read the table of the exposure's slit, and place the source in it, as jwst 3.0.0 pathloss get_center.

        Neutral where the file lacks the slit, and for an extended source in the slit of MIRI.
        """
        if meta.exp_type == "MIR_LRS-FIXEDSLIT":
            return cls._of_prism(paths, meta)
        return cls._of_slit(paths, meta)

    @classmethod
    def _of_slit(cls, paths: Mapping[str, Path], meta: ExposureMeta) -> "Pathloss":
        path, name = paths["pathloss"], slit.name(meta)
        with fits.open(path, memmap=False) as hdus:
            images = [hdu for hdu in hdus if hdu.name == "PS"]
            if not images:
                raise InputError(f"{path}: no extension PS; it is not a PATHLOSS file of NIRSpec")
            mine = [hdu for hdu in images if str(hdu.header.get("APERTURE")).strip().upper() == name]
            if not mine:
                warnings.warn(f"{path}: no slit {name}; its losses stay uncorrected", stacklevel=2)
                return cls.neutral(meta)
            header, point = mine[0].header, np.asarray(mine[0].data, np.float64)
            other = hdus["UNI", mine[0].ver]
            uniform, lam_uniform = np.asarray(other.data, np.float64), _axis(other.header, 1, len(other.data))
        lam, place = _axis(header, 3, len(point)), _index(header, *source.place(paths, meta))
        if not _holds(point, place):
            warnings.warn(f"the source is outside of {name}; its losses stay uncorrected", stacklevel=2)
        (lam, point), (lam_uniform, uniform) = _rising(lam, point), _rising(lam_uniform, uniform)
        applied = "point" if meta.point_source else "uniform"
        return cls(lam * UM_PER_M, point, place, lam_uniform * UM_PER_M, uniform, applied=applied)

    @classmethod
    def _of_prism(cls, paths: Mapping[str, Path], meta: ExposureMeta) -> "Pathloss":
        if not meta.point_source:
            return cls.neutral(meta)
        path = paths["pathloss"]
        with fits.open(path, memmap=False) as hdus:
            if "PATHLOSS" not in hdus:
                raise InputError(f"{path}: no extension PATHLOSS; it is not a PATHLOSS file of the MIRI prism")
            header, table = hdus["PATHLOSS"].header, hdus["PATHLOSS"].data
            lam, point = (np.asarray(table[name], np.float64) for name in ("wavelength", "pathloss"))
        along, across, arcsec_per_px = rows.place(paths, meta)
        place, middle = _index(header, along, across), _index(header, 0.0, 0.0)
        if not _holds(point, place):
            warnings.warn("the source is outside of the slit; corrected as in its middle", stacklevel=2)
        per_arcsec = float(_index(header, 0.0, 1 / arcsec_per_px)[1] - middle[1])
        lam, point = _rising(lam, point)
        return cls(lam, point, place, otherwise_px=middle, row_per_arcsec=per_arcsec, multiplies=True)

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Pathloss":
        """Refuse: the file alone does not say where the source is in its slit."""
        others = ", ".join(name for name in cls.parts(meta) if name != "pathloss")
        raise InputError(f"{path}: pathloss needs {others or 'a slit'} too; add them, or set pathloss.skip=true")

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Pathloss":
        """No loss."""
        return cls(np.array([0.0, 100.0]), np.ones((2, 2, 2)), np.zeros(2))


def _axis(header: Any, axis: int, count: int) -> Float[np.ndarray, "knot"]:
    """Coordinates of an axis by its FITS keywords."""
    start, step, pixel = (float(header[f"{key}{axis}"]) for key in ("CRVAL", "CDELT", "CRPIX"))
    return start + (np.arange(1, count + 1) - pixel) * step


def _index(header: Any, x: float, y: float) -> Float[np.ndarray, "2"]:
    """Column and row (0-based) of a place."""

    def along(axis: int, at: float) -> float:
        pixel, step = float(header.get(f"CRPIX{axis}", 0.0)), float(header.get(f"CDELT{axis}", 1.0))
        return pixel + (at - float(header[f"CRVAL{axis}"])) / step - 1

    return np.array([along(1, x), along(2, y)])


def _rising(wavelength: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(wavelength)
    return wavelength[order], values[order]


def _holds(point: np.ndarray, place: np.ndarray) -> bool:
    last = np.array(point.shape[:0:-1]) - 1
    return bool(np.all((place >= 0) & (place < last)))
