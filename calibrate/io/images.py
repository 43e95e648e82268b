"""Per-integration images (`_rateints`, `_calints`, `_crfints`): one format, three names."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from astropy.io import fits

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.header import primary
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.io.streamed import StreamedFile
from uptheramp.calibrate.state import Rates

MODEL = "CubeModel"


def writer(
    path: Path,
    meta: ExposureMeta,
    int_times: np.ndarray,
    unit: str,
    steps: dict[str, str],
    wavelength_um: np.ndarray | None = None,
) -> StreamedFile:
    """A file ready to take `pieces(rates)`; `steps` are the S_<STEP> cards of what ran."""
    count = meta.integration_end - meta.integration_start + 1
    shape = (count, *meta.shape)
    images = {
        "SCI": ("float32", shape, unit),
        "ERR": ("float32", shape, unit),
        "DQ": ("uint32", shape, ""),
        "VAR_POISSON": ("float32", shape, f"({unit})^2"),
        "VAR_RNOISE": ("float32", shape, f"({unit})^2"),
        "VAR_FLAT": ("float32", shape, f"({unit})^2"),
    }
    if wavelength_um is not None:
        images["WAVELENGTH"] = ("float32", meta.shape, "um")
    return StreamedFile(path, primary(meta, MODEL, Path(path).name, steps), images, {"INT_TIMES": int_times})


def pieces(rates: Rates, count: int) -> dict[str, np.ndarray]:
    """The first `count` integrations (padding cut off) as extension arrays."""
    return {
        "SCI": np.asarray(rates.data[:count]),
        "ERR": np.asarray(rates.err[:count]),
        "DQ": np.asarray(rates.dq[:count]),
        "VAR_POISSON": np.asarray(rates.var_poisson[:count]),
        "VAR_RNOISE": np.asarray(rates.var_rnoise[:count]),
        "VAR_FLAT": np.asarray(rates.var_flat[:count]),
    }


def read(path: Path, meta: ExposureMeta) -> Rates:
    """A whole file of per-integration images as Rates (float32, native endian).

    Raises
    ------
    InputError
        If an extension that Stage 2 needs is missing or its shape is not the header's.
    """
    try:
        with fits.open(path, memmap=False) as hdus:
            missing = [name for name in ("SCI", "DQ", "VAR_POISSON", "VAR_RNOISE") if name not in hdus]
            if missing:
                raise InputError(f"{path}: no extension {', '.join(missing)}; is it a rateints or calints product?")
            planes = {name: np.asarray(hdus[name].data) for name in ("SCI", "VAR_POISSON", "VAR_RNOISE")}
            flat = hdus["VAR_FLAT"].data if "VAR_FLAT" in hdus else np.zeros_like(planes["SCI"])
            dq = np.asarray(hdus["DQ"].data).astype(np.uint32)
            unit = hdus["SCI"].header.get("BUNIT", "DN/s")
            wave = hdus["WAVELENGTH"].data if "WAVELENGTH" in hdus else None
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"{path}: cannot read the images ({error}); the file may be truncated, fetch it again") from error
    if planes["SCI"].ndim != 3:
        raise InputError(f"{path}: SCI has {planes['SCI'].ndim} axes, not 3 (integration, y, x); give the ints product")
    first = meta.integration_start - 1
    return Rates(
        data=jnp.asarray(planes["SCI"].astype(np.float32)),
        var_poisson=jnp.asarray(planes["VAR_POISSON"].astype(np.float32)),
        var_rnoise=jnp.asarray(planes["VAR_RNOISE"].astype(np.float32)),
        var_flat=jnp.asarray(np.nan_to_num(np.asarray(flat).astype(np.float32))),
        dq=jnp.asarray(dq),
        integration=jnp.arange(first, first + len(dq)),
        wavelength_um=None if wave is None else jnp.asarray(np.asarray(wave).astype(np.float32)),
        unit=unit,
    )
