"""PHOTOM of imaging modes: one factor from counts to surface brightness, its change with time, the area of a pixel."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base
from uptheramp.calibrate.references.fading import fading
from uptheramp.calibrate.references.photom import ARCSEC2_PER_SR, Table, row_of, wanted

# exposure type -> layout of the official table
TABLES = {
    "NRC_TSIMAGE": Table("NrcImgPhotomModel", ("filter", "pupil"), "photmjsr", False),
    "MIR_IMAGE": Table("MirImgPhotomModel", ("filter", "subarray"), "photmjsr", False),
}
KINDS = {"filter": "S12", "pupil": "S12", "subarray": "S17"}


class PhotomImage(eqx.Module):
    """`conversion` in `unit` per DN/s; `fade` and `pixel_sr` as in `photom.Photom`."""

    conversion: Float[Array, ""]
    pixel_sr: float | None = eqx.field(static=True, default=None)
    unit: str = eqx.field(static=True, default="MJy/sr")
    fade: Float[np.ndarray | Array, ""] = eqx.field(default_factory=lambda: np.ones((), np.float32))

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "PhotomImage":
        """Read the row of the exposure's filter, and PIXAR_SR."""
        table = _table(meta, path)
        with fits.open(path, memmap=False) as hdus:
            if "PHOTOM" not in hdus:
                raise InputError(f"{path}: no extension PHOTOM; it is not a photom reference file")
            at = row_of(hdus["PHOTOM"].data, table, meta, path)
            conversion, area = np.float32(hdus["PHOTOM"].data[at][table.factor]), hdus[0].header.get("PIXAR_SR")
            fade = np.asarray(np.float32(fading(hdus, at, meta.middle_mjd, path)))
        if not np.isfinite(conversion):
            raise InputError(f"{path}: the row for {wanted(table, meta)} holds no usable conversion")
        return cls(np.asarray(conversion), None if area is None else float(area), fade=fade)

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write the official table with one row."""
        from stdatamodels.jwst import datamodels

        table = _table(meta, path)
        columns = [(key, KINDS[key]) for key in table.keys] + [(table.factor, "f4"), ("uncertainty", "f4")]
        row = (*wanted(table, meta).values(), float(self.conversion), 0.0)
        with getattr(datamodels, table.model)(phot_table=np.array([row], dtype=columns)) as model:
            if self.pixel_sr is not None:
                photometry = model.meta.photometry
                photometry.pixelarea_steradians = self.pixel_sr
                photometry.pixelarea_arcsecsq = self.pixel_sr * ARCSEC2_PER_SR
            base.save(base.describe(model, meta, "PHOTOM", window=False), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "PhotomImage":
        """One, still in DN/s."""
        return cls(np.float32(1), None, "DN/s")


def _table(meta: ExposureMeta, path: Path) -> Table:
    if meta.exp_type not in TABLES:
        raise InputError(f"{path}: no photom table is known for {meta.exp_type}; known are {', '.join(TABLES)}")
    return TABLES[meta.exp_type]
