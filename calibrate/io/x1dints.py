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
from uptheramp.calibrate.state import Spectra

# column of the official table -> (our field, or None where box extraction has nothing to say)
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


def _table(spectra: Spectra, int_times: np.ndarray, segment: int) -> fits.BinTableHDU:
    count, length = spectra.flux.shape
    vector = f"{length}D"
    columns = [fits.Column("INT_NUM", "J", array=np.asarray(spectra.integration) + 1)]
    for name, field in _VECTORS.items():
        value = np.full((count, length), np.nan) if field is None else np.asarray(getattr(spectra, field))
        value = np.broadcast_to(value, (count, length))
        unit = "um" if name == "WAVELENGTH" else spectra.unit if name.startswith(("FLUX", "BACK")) else None
        if name == "DQ":
            columns.append(fits.Column(name, f"{length}J", bzero=2**31, array=value.astype(np.uint32)))
        else:
            columns.append(fits.Column(name, vector, unit=unit, array=value.astype(np.float64)))
    columns.append(fits.Column("N_ALONGDISP", "J", bzero=2**31, array=np.full(count, length, np.uint32)))
    columns.append(fits.Column("SEGMENT", "J", array=np.full(count, segment)))
    columns += [fits.Column(name, "D", unit="d", array=int_times[field]) for name, field in _TIMES.items()]
    table = fits.BinTableHDU.from_columns(columns, name="EXTRACT1D", ver=spectra.order)
    table.header["SPORDER"] = spectra.order
    table.header["SRCTYPE"] = "POINT"
    return table


def write(
    path: Path, spectra: tuple[Spectra, ...], meta: ExposureMeta, int_times: np.ndarray, steps: dict[str, str]
) -> None:
    """Write all orders of an exposure."""
    hdus = fits.HDUList([primary(meta, "TSOMultiSpecModel", Path(path).name, steps)])
    hdus.append(fits.BinTableHDU(int_times, name="INT_TIMES"))
    hdus.extend(_table(s, int_times, meta.segment) for s in spectra)
    hdus.append(asdf_extension(hdus[0]))
    with whole(path) as temporary:
        hdus.writeto(temporary, overwrite=True)


def read(path: Path, first: int) -> tuple[Spectra, ...]:
    """Read all orders; `first` is the 0-based number of the first integration."""
    with fits.open(path, memmap=False) as hdus:
        tables = [hdu for hdu in hdus if hdu.name == "EXTRACT1D"]
        if not tables:
            raise InputError(f"{path}: no extension EXTRACT1D; it is not an x1dints product")
        return tuple(_spectra(hdu, first) for hdu in tables)


def _spectra(hdu: fits.BinTableHDU, first: int) -> Spectra:
    table = hdu.data

    def plane(name: str) -> np.ndarray:
        return np.atleast_2d(np.asarray(table[name]).astype(np.float64))

    flux = plane("FLUX")
    return Spectra(
        flux=jnp.asarray(flux),
        var_poisson=jnp.asarray(plane("FLUX_VAR_POISSON")),
        var_rnoise=jnp.asarray(plane("FLUX_VAR_RNOISE")),
        var_flat=jnp.asarray(np.nan_to_num(plane("FLUX_VAR_FLAT"))),
        background=jnp.asarray(plane("BACKGROUND")),
        dq=jnp.asarray(np.atleast_2d(np.asarray(table["DQ"])).astype(np.uint32)),
        npixels=jnp.asarray(plane("NPIXELS")[0]),
        wavelength_um=jnp.asarray(plane("WAVELENGTH")[0]),
        integration=jnp.arange(first, first + len(flux)),
        order=int(hdu.header.get("SPORDER", 1)),
        unit=fits.ColDefs(hdu)["FLUX"].unit or "DN/s",
    )
