"""FFLAT, SFLAT, DFLAT: NIRSpec's response of fore optics, spectrograph and detector, each a part that varies slowly.

The slow part is an image, or images at some wavelengths; the fast part is a table along wavelength. Their product is
the flat of a component, and that of the components the flat of a pixel.
"""

from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float, UInt32

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base
from uptheramp.calibrate.references.slits import of_target

EVERYWHERE_UM = (0.1, 10.0)


class NirspecFlat(eqx.Module):
    """Slow images at `plane_um` with errors and flags, and a fast table; wavelengths in micron, ascending.

    A component without images has one of 1 that covers every pixel, (1, 1, 1).
    """

    data: Float[np.ndarray | Array, "plane #y #x"]
    err: Float[np.ndarray | Array, "plane #y #x"]
    dq: UInt32[np.ndarray | Array, "plane #y #x"]
    plane_um: Float[np.ndarray | Array, "plane"]
    fast_um: Float[np.ndarray | Array, "knot"]
    fast: Float[np.ndarray | Array, "knot"]
    fast_err: Float[np.ndarray | Array, "knot"]
    reftype: str = eqx.field(static=True, default="FFLAT")

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "NirspecFlat":
        """Read the official file: images cropped to the window, of the table the row of the slit (or ANY).

        Knots that are not finite, and zeros, are dropped.

        Raises
        ------
        InputError
            If there is no table, or none of its rows is for the slit.
        """
        with fits.open(path, memmap=False) as hdus:
            if "FAST_VARIATION" not in hdus:
                raise InputError(f"{path}: no extension FAST_VARIATION; it is not a flat of NIRSpec")
            table = _fast(hdus["FAST_VARIATION"].data, of_target(meta), path)
            images, plane_um = _images(hdus, meta, path), np.zeros(0)
            if "WAVELENGTH" in hdus:
                plane_um = np.ravel(np.asarray(hdus["WAVELENGTH"].data["wavelength"], np.float64))
                plane_um = plane_um[np.isfinite(plane_um) & (plane_um > 0)]
            reftype = str(hdus[0].header.get("REFTYPE", "")).strip().upper()
        count = len(images[0])
        if count > 1 and len(plane_um) != count:
            raise InputError(f"{path}: {count} images at {len(plane_um)} wavelengths; they must be as many")
        return cls(*images, plane_um.astype(np.float32) if count > 1 else np.ones(1, np.float32), *table, reftype)

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format: images in the frame of the whole detector, 1 outside the window."""
        from stdatamodels.jwst import datamodels

        n = len(self.fast_um)
        kinds = [("slit_name", "S15"), ("nelem", "i4"), *((c, "f4", (n,)) for c in ("wavelength", "data", "error"))]
        table = np.array([("ANY", n, *map(np.asarray, (self.fast_um, self.fast, self.fast_err)))], kinds)
        content = {"flat_table": table}
        if self.data.shape[-2:] == meta.shape:
            rows = slice(meta.y_start - 1, meta.y_start - 1 + meta.y_size)
            columns = slice(meta.x_start - 1, meta.x_start - 1 + meta.x_size)
            for name, outside in (("data", 1), ("err", 0), ("dq", 0)):
                window = np.asarray(getattr(self, name))
                content[name] = np.full((len(window), *base.FULL_FRAMES[0]), outside, window.dtype)
                content[name][:, rows, columns] = window
            content["wavelength"] = np.array([(w,) for w in np.asarray(self.plane_um)], [("wavelength", "f4")])
        with datamodels.NirspecFlatModel(**content) as model:
            base.save(base.describe(model, meta, self.reftype, window=False), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "NirspecFlat":
        """One everywhere, known exactly."""
        one = np.ones((1, 1, 1), np.float32)
        return cls.plain(one, 0 * one, np.zeros(one.shape, np.uint32), "FFLAT")

    @classmethod
    def plain(
        cls,
        data: Float[np.ndarray, "1 y x"],
        err: Float[np.ndarray, "1 y x"],
        dq: UInt32[np.ndarray, "1 y x"],
        reftype: str,
    ) -> "NirspecFlat":
        """One image for all wavelengths, and a table of 1."""
        knots = np.asarray(EVERYWHERE_UM, np.float32)
        middle = np.full(1, knots.mean(), np.float32)
        return cls(data, err, dq, middle, knots, np.ones(2, np.float32), np.zeros(2, np.float32), reftype)


def _images(hdus: fits.HDUList, meta: ExposureMeta, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, errors and flags (plane, y, x), cropped; 1 +- 0 where the file has none."""
    if "SCI" not in hdus or hdus["SCI"].data is None or hdus["SCI"].data.ndim < 2:
        one = np.ones((1, 1, 1), np.float32)
        return one, 0 * one, np.zeros(one.shape, np.uint32)
    data = base.read_plane(hdus, "SCI", meta, path)
    err = base.read_plane(hdus, "ERR", meta, path) if "ERR" in hdus else np.zeros_like(data)
    dq = base.read_dq(hdus, meta, path)
    shape = (-1, *data.shape[-2:])
    data, err, dq = (plane.reshape(shape) for plane in (data, err, dq))
    return data, np.broadcast_to(err, data.shape).copy(), np.broadcast_to(dq, data.shape).copy()


def _fast(rows: Any, slit: str, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wavelength, response and error of the slit's row, or of a table of numbers."""
    columns = [np.asarray(rows[name], np.float32) for name in ("wavelength", "data", "error")]
    if columns[0].ndim > 1:
        at = 0
        if "slit_name" in rows.names:
            found = [k for k, name in enumerate(rows["slit_name"]) if name.strip().upper() in (slit, "ANY")]
            if not found:
                raise InputError(f"{path}: FAST_VARIATION has no row for {slit}, and none for ANY; use another flat")
            at = found[0]
        knots = int(rows["nelem"][at]) if "nelem" in rows.names else columns[0].shape[1]
        columns = [column[at][:knots] for column in columns]
    known = np.isfinite(columns[0]) & np.isfinite(columns[1]) & (columns[0] > 0) & (columns[1] != 0)
    if not known.any():
        raise InputError(f"{path}: FAST_VARIATION holds no usable number; use another flat")
    return columns[0][known], columns[1][known], np.nan_to_num(columns[2][known])
