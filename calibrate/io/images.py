"""Per-integration images (`_rateints`, `_calints`, `_crfints`): one format, three names."""

from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io import planes
from uptheramp.calibrate.io.header import primary
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.io.streamed import StreamedFile
from uptheramp.calibrate.state import Rates

MODEL = "CubeModel"
# extension -> field of Rates, unit
SHARED = {
    "WAVELENGTH": ("wavelength_um", "um"),
    "PATHLOSS_PS": ("pathloss_point", ""),
    "PATHLOSS_UN": ("pathloss_uniform", ""),
}
_READ = ("SCI", "DQ", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT", "IMPUTED")
_STORED = {"DQ": np.uint32, "IMPUTED": bool}  # others float32


def writer(
    path: Path,
    meta: ExposureMeta,
    int_times: np.ndarray,
    unit: str,
    steps: dict[str, str],
    once: Mapping[str, np.ndarray] | None = None,
    resume: bool | None = None,
    *,
    imputed: bool = False,
) -> StreamedFile:
    """A file ready to take `pieces(rates)`; `steps` are the S_<STEP> cards of what ran, `resume` as `StreamedFile`.

    `once`: what `shared` finds in the rates, images that all integrations share. `imputed`: whether the rates tell
    which pixels were filled from their neighbours along the dispersion (extension IMPUTED).
    """
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
    images |= {"IMPUTED": ("uint8", shape, "")} if imputed else {}
    images |= {name: ("float32", meta.shape, SHARED[name][1]) for name in once or ()}
    header = primary(meta, MODEL, Path(path).name, steps)
    return StreamedFile(path, header, images, {"INT_TIMES": int_times}, meta.sci_cards(), resume)


def shared(rates: Rates) -> dict[str, np.ndarray]:
    """What is the same for all integrations, as extension arrays."""
    found = {name: getattr(rates, field) for name, (field, _) in SHARED.items()}
    return {name: np.asarray(image) for name, image in found.items() if image is not None}


def tells_imputed(path: Path) -> bool:
    """Whether a file tells which pixels were filled from their neighbours along the dispersion."""
    return "IMPUTED" in planes.planes(path)


def pieces(rates: Rates, count: int) -> dict[str, np.ndarray]:
    """The first `count` integrations (padding cut off) as extension arrays."""
    told = {} if rates.imputed is None else {"IMPUTED": np.asarray(rates.imputed[:count])}
    return told | {
        "SCI": np.asarray(rates.data[:count]),
        "ERR": np.asarray(rates.err[:count]),
        "DQ": np.asarray(rates.dq[:count]),
        "VAR_POISSON": np.asarray(rates.var_poisson[:count]),
        "VAR_RNOISE": np.asarray(rates.var_rnoise[:count]),
        "VAR_FLAT": np.asarray(rates.var_flat[:count]),
    }


def write_mean(path: Path, meta: ExposureMeta, mean: dict[str, np.ndarray], unit: str, steps: dict[str, str]) -> None:
    """Write the `_rate` product: the mean image of an exposure with its variances, (y, x) arrays by extension."""
    units = {"SCI": unit, "ERR": unit, "DQ": "", "VAR_POISSON": f"({unit})^2", "VAR_RNOISE": f"({unit})^2"}
    spec = {name: ("uint32" if name == "DQ" else "float32", meta.shape, text) for name, text in units.items()}
    header = primary(meta, "ImageModel", Path(path).name, steps)
    with StreamedFile(path, header, spec, {}, meta.sci_cards()) as file:
        file.write(0, **mean)


def read(path: Path, meta: ExposureMeta, first: int, count: int) -> Rates:
    """Integrations first ... first + count - 1 (0-based in this file) as Rates (float32, native endian).

    Raises
    ------
    InputError
        If an extension that Stage 2 needs is missing or its shape is not the header's.
    """
    try:
        known = planes.planes(path)
        missing = [name for name in ("SCI", "DQ", "VAR_POISSON", "VAR_RNOISE") if name not in known]
        if missing:
            raise InputError(f"{path}: no extension {', '.join(missing)}; is it a rateints or calints product?")
        piece = {name: planes.read(path, name, first, count) for name in _READ if name in known}
        wave = planes.read(path, "WAVELENGTH", 0, meta.shape[0])
    except (OSError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: cannot read the images ({error}); the file may be truncated, fetch it again"
        ) from error
    image = {name: np.asarray(values, _STORED.get(name, np.float32)) for name, values in piece.items()}
    flat = image.get("VAR_FLAT", np.zeros_like(image["SCI"]))
    number = meta.integration_start - 1 + first
    return Rates(
        data=jnp.asarray(image["SCI"]),
        var_poisson=jnp.asarray(image["VAR_POISSON"]),
        var_rnoise=jnp.asarray(image["VAR_RNOISE"]),
        var_flat=jnp.asarray(np.nan_to_num(flat)),
        dq=jnp.asarray(image["DQ"]),
        integration=jnp.arange(number, number + len(image["DQ"])),
        wavelength_um=None if wave is None else jnp.asarray(wave, jnp.float32),
        unit=known["SCI"].unit or "DN/s",
        imputed=jnp.asarray(image["IMPUTED"]) if "IMPUTED" in image else None,
    )
