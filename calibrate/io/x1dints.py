"""Extracted spectra per integration (`_x1dints.fits`): INT_TIMES, then one EXTRACT1D table per order."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from astropy.io import fits

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.asdf_extension import asdf_extension
from uptheramp.calibrate.io.atomic import whole
from uptheramp.calibrate.io.header import primary
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.state import TRACE, Spectra

# column of the official table -> our field, or None: a mean over the aperture (`_brightness`), or not kept apart
_VECTORS = {
    "WAVELENGTH": "wavelength_um",
    "FLUX": "flux",
    "FLUX_ERROR": "err",
    "FLUX_VAR_POISSON": "var_poisson",
    "FLUX_VAR_RNOISE": "var_rnoise",
    "FLUX_VAR_FLAT": "var_flat",
    "SURF_BRIGHT": None,
    "SB_ERROR": None,
    "SB_VAR_POISSON": None,
    "SB_VAR_RNOISE": None,
    "SB_VAR_FLAT": None,
    "DQ": "dq",
    "BACKGROUND": "background",
    "BKGD_ERROR": None,
    "BKGD_VAR_POISSON": None,
    "BKGD_VAR_RNOISE": None,
    "BKGD_VAR_FLAT": None,
    "NPIXELS": "npixels",
}
_TIMES = {
    "MJD-BEG": "int_start_MJD_UTC",
    "MJD-AVG": "int_mid_MJD_UTC",
    "MJD-END": "int_end_MJD_UTC",
    "TDB-BEG": "int_start_BJD_TDB",
    "TDB-MID": "int_mid_BJD_TDB",
    "TDB-END": "int_end_BJD_TDB",
}


def _table(spectra: Spectra, number: int, int_times: np.ndarray, meta: ExposureMeta) -> fits.BinTableHDU:
    mine = np.asarray(spectra.order) == number
    count, length = len(spectra.flux), int(mine.sum())
    vector = f"{length}D"
    columns = [fits.Column("INT_NUM", "J", array=np.asarray(spectra.integration) + 1)]
    brightness = _brightness(spectra, mine)
    for name, field in _VECTORS.items():
        value = np.full((count, length), np.nan)
        if name in brightness:
            value = brightness[name]
        elif field is not None:
            value = np.broadcast_to(np.asarray(getattr(spectra, field))[..., mine], (count, length))
        if name == "DQ":
            columns.append(fits.Column(name, f"{length}J", bzero=2**31, array=value.astype(np.uint32)))
        else:
            columns.append(fits.Column(name, vector, unit=_unit(name, spectra), array=value.astype(np.float64)))
    columns.append(fits.Column("N_ALONGDISP", "J", bzero=2**31, array=np.full(count, length, np.uint32)))
    columns.append(fits.Column("SEGMENT", "J", array=np.full(count, meta.segment)))
    columns += [fits.Column(name, "D", unit="d", array=int_times[field]) for name, field in _TIMES.items()]
    table = fits.BinTableHDU.from_columns(columns, name="EXTRACT1D", ver=number)
    table.header["SPORDER"] = number
    table.header["SRCTYPE"] = "POINT" if meta.point_source else "EXTENDED"
    if spectra.pixel_sr is not None:
        table.header["PIXAR_SR"] = spectra.pixel_sr  # ours alone, to undo what makes a mean over the aperture of a sum
    return table


def _brightness(spectra: Spectra, mine: np.ndarray) -> dict[str, np.ndarray]:
    """Columns that are means over the aperture, in the unit that `_brightness_unit` gives."""
    if spectra.unit == "MJy":
        return {}
    area = 1 if spectra.pixel_sr is None else 1e6 * spectra.pixel_sr
    over = area * np.asarray(spectra.npixels, float)[mine]
    over = np.where(over > 0, over, np.inf)
    fields = {"SURF_BRIGHT": "flux", "SB_ERROR": "err", "BACKGROUND": "background"}
    found = {name: np.asarray(getattr(spectra, field), float)[:, mine] / over for name, field in fields.items()}
    for cause in ("poisson", "rnoise", "flat"):
        found[f"SB_VAR_{cause.upper()}"] = np.asarray(getattr(spectra, f"var_{cause}"), float)[:, mine] / over**2
    return found


def _unit(name: str, spectra: Spectra) -> str | None:
    """Units as the official product writes them; extracted SOSS spectra (MJy) have no surface brightness."""
    if name in ("DQ", "NPIXELS"):
        return None
    if name == "WAVELENGTH":
        return "um"
    unit = spectra.unit
    if not name.startswith("FLUX") and unit == "MJy":
        unit = "" if name.startswith("S") else unit
    elif not name.startswith("FLUX") and unit == "Jy":
        unit = "MJy/sr"
    if "_VAR_" in name and unit:
        unit = {"DN/s": "DN^2 / s^2", "MJy/sr": "MJy^2 / sr^2"}.get(unit, f"{unit}^2")
    return unit or None


def write(path: Path, spectra: Spectra, meta: ExposureMeta, int_times: np.ndarray, steps: dict[str, str]) -> None:
    """Write a table for each order and what is ours alone.

    Where elements share noise, the images ORDERPAIRS and ORDERCOV; where the trace was measured, the table TRACE;
    where elements share the same noise in all integrations, the image SHARED (element, factor).
    """
    hdus = fits.HDUList([primary(meta, "TSOMultiSpecModel", Path(path).name, steps)])
    hdus.append(fits.BinTableHDU(int_times, name="INT_TIMES"))
    numbers = np.unique(np.asarray(spectra.order)).tolist()
    hdus.extend(_table(spectra, number, int_times, meta) for number in numbers)
    if len(spectra.pairs):
        hdus.append(fits.ImageHDU(np.asarray(spectra.pairs, np.int32), name="ORDERPAIRS"))
        hdus.append(fits.ImageHDU(np.asarray(spectra.covariance, np.float32), name="ORDERCOV"))
    if spectra.trace is not None:
        hdus.append(_trace_table(spectra))
    if spectra.shared is not None:
        hdus.append(fits.ImageHDU(np.asarray(spectra.shared, np.float32), name="SHARED"))
    hdus.append(asdf_extension(hdus[0]))
    with whole(path) as temporary:
        hdus.writeto(temporary, overwrite=True)


def _trace_table(spectra: Spectra) -> fits.BinTableHDU:
    """Where the trace lies in each integration: a column for each quantity, and one for its error."""
    columns = [fits.Column("INT_NUM", "J", array=np.asarray(spectra.integration) + 1)]
    for ending, values in (("", spectra.trace), ("_ERROR", spectra.trace_err)):
        for name, value in zip(TRACE, np.asarray(values, np.float64).T, strict=True):
            unit = "pixel" if name.endswith("_px") else None
            columns.append(fits.Column(f"{name.upper()}{ending}", "D", unit=unit, array=value))
    return fits.BinTableHDU.from_columns(columns, name="TRACE")


def _trace(hdus: fits.HDUList) -> dict[str, jnp.ndarray]:
    """The table TRACE, where there is one."""
    if "TRACE" not in hdus:
        return {}
    table = hdus["TRACE"].data
    return {
        field: jnp.stack([jnp.asarray(table[f"{name.upper()}{ending}"].astype(np.float64)) for name in TRACE], 1)
        for field, ending in (("trace", ""), ("trace_err", "_ERROR"))
    }


def read(path: Path, first: int) -> Spectra:
    """Read all orders, end to end; `first` is the 0-based number of the first integration."""
    with fits.open(path, memmap=False) as hdus:
        tables = [hdu for hdu in hdus if hdu.name == "EXTRACT1D"]
        if not tables:
            raise InputError(f"{path}: no extension EXTRACT1D; it is not an x1dints product")
        tables = [table for _, table in sorted({_number(t): t for t in reversed(tables)}.items())]  # the first of each
        columns = {name: np.concatenate([_plane(hdu, name) for hdu in tables], axis=1) for name in _READ}
        order = np.concatenate([np.full(_plane(hdu, "FLUX").shape[1], _number(hdu), np.int32) for hdu in tables])
        unit = fits.ColDefs(tables[0])["FLUX"].unit or "DN/s"
        count = len(columns["FLUX"])
        pairs, covariance = np.zeros((0, 2), np.int32), np.zeros((count, 0))
        if "ORDERCOV" in hdus:
            pairs = hdus["ORDERPAIRS"].data.astype(np.int32)
            covariance = hdus["ORDERCOV"].data.astype(np.float64)
        trace = _trace(hdus)
        shared = jnp.asarray(hdus["SHARED"].data.astype(np.float64)) if "SHARED" in hdus else None
        area = tables[0].header.get("PIXAR_SR")
    summed = 1 if unit == "MJy" else (1 if area is None else 1e6 * area) * columns["NPIXELS"]
    return Spectra(
        flux=jnp.asarray(columns["FLUX"]),
        var_poisson=jnp.asarray(columns["FLUX_VAR_POISSON"]),
        var_rnoise=jnp.asarray(columns["FLUX_VAR_RNOISE"]),
        var_flat=jnp.asarray(np.nan_to_num(columns["FLUX_VAR_FLAT"])),
        background=jnp.asarray(columns["BACKGROUND"] * summed),
        dq=jnp.asarray(columns["DQ"].astype(np.uint32)),
        npixels=jnp.asarray(columns["NPIXELS"][0]),
        wavelength_um=jnp.asarray(columns["WAVELENGTH"][0]),
        integration=jnp.arange(first, first + count),
        order=jnp.asarray(order),
        pairs=jnp.asarray(pairs),
        covariance=jnp.asarray(covariance),
        unit=unit,
        pixel_sr=area,
        shared=shared,
        **trace,
    )


_READ = (
    *("FLUX", "FLUX_VAR_POISSON", "FLUX_VAR_RNOISE", "FLUX_VAR_FLAT"),
    *("BACKGROUND", "DQ", "NPIXELS", "WAVELENGTH"),
)


def _number(hdu: fits.BinTableHDU) -> int:
    return int(hdu.header.get("SPORDER", 1))


def _plane(hdu: fits.BinTableHDU, name: str) -> np.ndarray:
    return np.atleast_2d(np.asarray(hdu.data[name]).astype(np.float64))
