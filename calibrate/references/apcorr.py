"""APCORR: the light of a point source over that in an aperture, by the aperture's size and the wavelength."""

from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base
from uptheramp.calibrate.references.photom import Table, row_of, wanted

# exposure type -> layout of the official table; other time series have no aperture correction
_OF_PRISM = Table("MirLrsApcorrModel", ("subarray",), "apcorr", False)
_BY_SLIT = Table("NrsFsApcorrModel", ("filter", "grating", "slit"), "apcorr", False)
TABLES = {
    "MIR_LRS-SLITLESS": _OF_PRISM,
    "MIR_LRS-FIXEDSLIT": _OF_PRISM,
    "NRS_BRIGHTOBJ": _BY_SLIT,
    "NRS_FIXEDSLIT": _BY_SLIT,
}
PHASE = 0.5  # of the trace in its pixel: the only one that the official step asks the NIRSpec tables for
KINDS = {"subarray": "S17", "filter": "S12", "grating": "S15", "slit": "S15"}


class Apcorr(eqx.Module):
    """Factors at sizes (pixels, ascending) that may depend on wavelength (micron, ascending).

    `continued`: beyond its wavelengths the ends of the table hold (MIRI); else there is no correction there (NIRSpec).
    """

    wavelength_um: Float[np.ndarray | Array, "knot"]
    size_px: Float[np.ndarray | Array, "size knot"]
    factor: Float[np.ndarray | Array, "size knot"]
    continued: bool = eqx.field(static=True, default=True)

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Apcorr":
        """Read the row of the exposure's optical elements; sizes in arcsec take the plain scale of the detector.

        Extended sources have no light outside of an aperture that is theirs: for them it is neutral.

        Raises
        ------
        InputError
            For exposure types without a correction, no row for the exposure, sizes in other units.
        """
        if meta.exp_type not in TABLES:
            raise InputError(f"{path}: no aperture correction is known for {meta.exp_type} (for {', '.join(TABLES)})")
        if not meta.point_source:
            return cls.neutral(meta)
        table = TABLES[meta.exp_type]
        with fits.open(path, memmap=False) as hdus:
            if "APCORR" not in hdus:
                raise InputError(f"{path}: no extension APCORR; it is not an aperture correction")
            unit, rows = str(hdus["APCORR"].header.get("SIZEUNIT") or "pixels"), hdus["APCORR"].data
            if not unit.lower().startswith(("pix", "arcsec")):
                raise InputError(f"{path}: sizes in {unit}; they are read in pixels or arcsec")
            row = rows[row_of(rows, table, meta, path)]
            wavelength, size, factor = (_plain(row[name]) for name in ("wavelength", "size", "apcorr"))
            if table is _OF_PRISM:
                knots, sizes = int(row["nelem_wl"]), int(row["nelem_size"])
                wavelength, size, factor = wavelength[:knots], size[:sizes], factor[:knots, :sizes].T
                size = np.broadcast_to(size[:, None], factor.shape)
            else:
                factor = _at_phase(factor, _plain(row["pixphase"]))
        if unit.lower().startswith("arcsec"):
            size = size / _across_arcsec(table, meta)
        ascending = np.argsort(wavelength)
        planes = (wavelength[ascending], size[:, ascending], factor[:, ascending])
        wavelength, size, factor = (plane.astype(np.float32) for plane in planes)
        return cls(wavelength, size, factor, table is _OF_PRISM)

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write the official table with one row."""
        from stdatamodels.jwst import datamodels

        table = TABLES[meta.exp_type]
        wavelength, size, factor = (np.asarray(x, np.float32) for x in (self.wavelength_um, self.size_px, self.factor))
        columns: dict[str, Any] = {"wavelength": wavelength, "nelem_wl": np.int16(factor.shape[1])}
        if table is _OF_PRISM:
            columns |= {"size": size[:, 0].astype(np.uint8), "nelem_size": np.int16(factor.shape[0])}
            columns |= {"apcorr": factor.T, "apcorr_err": 0 * factor.T}
        else:
            both = np.stack([factor, factor], -1)
            columns |= {"size": size, "nelem_size": np.int16(factor.shape[0]), "pixphase": np.float32([0, 1])}
            columns |= {"apcorr": both, "apcorr_err": 0 * both}
        keys = [(key, KINDS[key]) for key in table.keys]
        kinds = keys + [(name, value.dtype, value.shape) for name, value in columns.items()]
        row = np.array([(*wanted(table, meta).values(), *columns.values())], dtype=kinds)
        with getattr(datamodels, table.model)(apcorr_table=row) as model:
            model.sizeunit = "pixels"
            base.save(base.describe(model, meta, "APCORR", window=False), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Apcorr":
        """One everywhere."""
        ends = np.array([[1, 1], [256, 256]], np.float32)
        return cls(np.array([0, 100], np.float32), ends, np.ones((2, 2), np.float32))


def _across_arcsec(table: Table, meta: ExposureMeta) -> float:
    """Size of a pixel across the dispersion, which runs along y in MIRI's prism and along x in NIRSpec."""
    x, y = lookup.detector(lookup.instrument(meta.instrument), meta.detector).pixel_scale_arcsec
    return x if table is _OF_PRISM else y


def _plain(column: Any) -> np.ndarray:
    return np.asarray(column, np.float64)


def _at_phase(factor: Float[np.ndarray, "size knot phase"], phases: Float[np.ndarray, "phase"]) -> np.ndarray:
    """Interpolate between the phases of a pixel for which factors are given."""
    order = np.argsort(phases)
    return np.apply_along_axis(lambda f: np.interp(PHASE, phases[order], f[order]), -1, factor)
