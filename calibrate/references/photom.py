"""PHOTOM: from counts to physical units, a factor times a response that depends on wavelength."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import area, base
from uptheramp.calibrate.references.area import ARCSEC2_PER_SR
from uptheramp.calibrate.references.fading import fading
from uptheramp.calibrate.references.slits import of_target

_METRE = 1e-4  # wavelengths below this are in metres: some NIRSpec tables


class Table(NamedTuple):
    """How an exposure type's official table is laid out."""

    model: str
    keys: tuple[str, ...]  # columns that pick the row
    factor: str  # photmj: MJy per DN/s; photmjsr: MJy/sr per DN/s
    per_micron: bool  # the factor is per micron of dispersion


_BY_SLIT = Table("NrsFsPhotomModel", ("filter", "grating", "slit"), "photmj", False)
_BY_SUBARRAY = Table("MirLrsPhotomModel", ("filter", "subarray"), "photmjsr", False)
TABLES = {
    "NRS_BRIGHTOBJ": _BY_SLIT,
    "NRS_FIXEDSLIT": _BY_SLIT,
    "NRC_TSGRISM": Table("NrcWfssPhotomModel", ("filter", "pupil", "order"), "photmjsr", True),
    "MIR_LRS-SLITLESS": _BY_SUBARRAY,
    "MIR_LRS-FIXEDSLIT": _BY_SUBARRAY,
}
UNITS = {"photmj": "MJy", "photmjsr": "MJy/sr"}


class Photom(eqx.Module):
    """`conversion * response(wavelength)`, in `unit` per DN/s; wavelengths in micron, ascending.

    With `per_micron` the product is still to be divided by the dispersion (micron per pixel), as slitless grisms need.
    `fade` is the throughput at the time of the exposure over that for which the table holds. `pixel_sr` is the solid
    angle of a pixel, which makes fluxes of surface brightness; None where no file gives it.
    """

    conversion: Float[Array, ""]
    wavelength_um: Float[Array, "knot"]
    response: Float[Array, "knot"]
    unit: str = eqx.field(static=True, default="MJy/sr")
    per_micron: bool = eqx.field(static=True, default=False)
    pixel_sr: float | None = eqx.field(static=True, default=None)
    fade: Float[np.ndarray | Array, ""] = eqx.field(default_factory=lambda: np.ones((), np.float32))

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Photom":
        """Read the row of the exposure's optical elements; knots that are not finite are dropped."""
        return _of_source(cls._of_row(path, meta), meta)

    @classmethod
    def _of_row(cls, path: Path, meta: ExposureMeta) -> "Photom":
        table = layout_of(TABLES, meta, path)
        with fits.open(path, memmap=False) as hdus:
            header, rows = table_of(hdus, path)
            at = row_of(rows, table, meta, path)
            conversion, (wavelength, response) = np.float32(rows[at][table.factor]), curve(rows[at])
            solid, fade = hdus[0].header.get("PIXAR_SR"), fading(hdus, at, meta.middle_mjd, path)
        if not len(wavelength) or not np.isfinite(conversion):
            raise InputError(f"{path}: the row for {wanted(table, meta)} holds no usable conversion")
        plain = str(header.get("PHOTUNIT") or "").strip() == _unit(table, per_micron=False)
        return cls(
            np.asarray(conversion),
            wavelength,
            response,
            UNITS[table.factor],
            table.per_micron and not plain,
            None if solid is None else float(solid),
            np.asarray(np.float32(fade)),
        )

    @classmethod
    def parts(cls, meta: ExposureMeta) -> tuple[str, ...]:
        """Behind a slit of NIRSpec there may be an AREA file beside it."""
        return ("photom", "area") if TABLES.get(meta.exp_type) is _BY_SLIT else ()

    @classmethod
    def from_parts(cls, paths: Mapping[str, Path], meta: ExposureMeta) -> "Photom":
        """Take the solid angle of a pixel from AREA, whatever PHOTOM says of it, as the official step does."""
        known = replace(cls._of_row(paths["photom"], meta), pixel_sr=area.pixel_sr(paths["area"], meta))
        return _of_source(known, meta)

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write the official table with one row."""
        from stdatamodels.jwst import datamodels

        table = layout_of(TABLES, meta, path)
        n = len(self.wavelength_um)
        kinds = {"filter": "S12", "grating": "S15", "slit": "S15", "pupil": "S15", "subarray": "S17", "order": "i2"}
        dtype = [(key, kinds[key]) for key in table.keys]
        dtype += [(table.factor, "f4"), ("uncertainty", "f4"), ("nelem", "i2")]
        dtype += [(name, "f4", (n,)) for name in ("wavelength", "relresponse", "reluncertainty")]
        row = (*wanted(table, meta).values(), float(self.conversion), 0.0, n)
        row += (np.asarray(self.wavelength_um), np.asarray(self.response), np.zeros(n, np.float32))
        with getattr(datamodels, table.model)(phot_table=np.array([row], dtype=dtype)) as model:
            if table.per_micron:
                model.phot_unit = _unit(table, per_micron=self.per_micron)
            tell_area(model, self.pixel_sr)
            base.save(base.describe(model, meta, "PHOTOM", window=False), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Photom":
        """One at every wavelength, still in DN/s."""
        return cls(np.float32(1), np.array([0, 100], np.float32), np.ones(2, np.float32), "DN/s")


def _of_source(photom: Photom, meta: ExposureMeta) -> Photom:
    """Of an extended source the flux of a pixel is told as surface brightness, where its solid angle is known."""
    if photom.unit != "MJy" or meta.point_source or photom.pixel_sr is None:
        return photom
    return replace(photom, conversion=np.float32(photom.conversion / photom.pixel_sr), unit="MJy/sr")


def layout_of(tables: Mapping[str, Table], meta: ExposureMeta, path: Path) -> Table:
    """How the table of an exposure type is laid out, of those that are known."""
    if meta.exp_type not in tables:
        raise InputError(f"{path}: no photom table is known for {meta.exp_type}; known are {', '.join(tables)}")
    return tables[meta.exp_type]


def table_of(hdus: fits.HDUList, path: Path) -> tuple[fits.Header, Any]:
    """Header and rows of the conversions."""
    if "PHOTOM" not in hdus:
        raise InputError(f"{path}: no extension PHOTOM; it is not a photom reference file")
    return hdus["PHOTOM"].header, hdus["PHOTOM"].data


def tell_area(model: Any, pixel_sr: float | None) -> None:
    """Write the solid angle of a pixel into an official model, where it is known."""
    if pixel_sr is not None:
        model.meta.photometry.pixelarea_steradians = pixel_sr
        model.meta.photometry.pixelarea_arcsecsq = pixel_sr * ARCSEC2_PER_SR


def _unit(table: Table, *, per_micron: bool) -> str:
    """Give the text of PHOTUNIT in slitless tables; files without one are per micron, as the official ones are."""
    return "MJy micron s / (DN sr)" if per_micron else "MJy s / (DN sr)"


def wanted(table: Table, meta: ExposureMeta, order: int = 1) -> dict[str, Any]:
    """Values of the key columns for this exposure and order."""
    known = {"slit": of_target(meta), "order": order}
    return {key: known.get(key, getattr(meta, key, None)) for key in table.keys}


def row_of(rows: Any, table: Table, meta: ExposureMeta, path: Path, order: int = 1) -> int:
    """Find the row whose key columns match; GENERIC, N/A and ANY match all, but rank lower."""
    values = wanted(table, meta, order)

    def rank(row: Any) -> int:
        exact = 0
        for key, value in values.items():
            found = row[key].strip().upper() if isinstance(value, str) else int(row[key])
            if found == value:
                exact += 1
            elif found not in ("GENERIC", "N/A", "ANY"):
                return -1
        return exact

    ranks = [rank(row) for row in rows]
    if max(ranks, default=-1) < 0:
        raise InputError(f"{path}: no row for {values}; use a file of this mode")
    return int(np.argmax(ranks))


def curve(row: Any) -> tuple[Float[np.ndarray, "knot"], Float[np.ndarray, "knot"]]:
    """Wavelength (micron, ascending) and response of a row; knots that are not finite are dropped."""
    knots = int(row["nelem"]) if "nelem" in row.array.names else len(row["wavelength"])
    wavelength, response = (np.asarray(row[name][:knots], np.float64) for name in ("wavelength", "relresponse"))
    usable = np.isfinite(wavelength) & np.isfinite(response)
    wavelength, response = wavelength[usable], response[usable]
    ascending = np.argsort(wavelength)
    scale = 1e6 if 0 < wavelength.max(initial=0) < _METRE else 1.0
    return (wavelength[ascending] * scale).astype(np.float32), response[ascending].astype(np.float32)
