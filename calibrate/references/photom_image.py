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
from uptheramp.calibrate.references.photom import Table, layout_of, row_of, table_of, tell_area, wanted

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
        table = layout_of(TABLES, meta, path)
        with fits.open(path, memmap=False) as hdus:
            _, rows = table_of(hdus, path)
            at = row_of(rows, table, meta, path)
            conversion, area = np.float32(rows[at][table.factor]), hdus[0].header.get("PIXAR_SR")
            fade = np.asarray(np.float32(fading(hdus, at, meta.middle_mjd, path)))
        if not np.isfinite(conversion):
            raise InputError(f"{path}: the row for {wanted(table, meta)} holds no usable conversion")
        return cls(np.asarray(conversion), None if area is None else float(area), fade=fade)

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write the official table with one row."""
        from stdatamodels.jwst import datamodels

        table = layout_of(TABLES, meta, path)
        columns = [(key, KINDS[key]) for key in table.keys] + [(table.factor, "f4"), ("uncertainty", "f4")]
        row = (*wanted(table, meta).values(), float(self.conversion), 0.0)
        with getattr(datamodels, table.model)(phot_table=np.array([row], dtype=columns)) as model:
            tell_area(model, self.pixel_sr)
            base.save(base.describe(model, meta, "PHOTOM", window=False), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "PhotomImage":
        """One, still in DN/s."""
        return cls(np.float32(1), None, "DN/s")
