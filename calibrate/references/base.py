"""What every reference type shares: reading an untidy file, cropping it to the window, writing a tidy one.

A reference is an `equinox.Module` in a file named after its REFTYPE, with

    from_file(path, meta)   cropped to the exposure's window, float32, native endian, NaN turned into flags
    to_file(path, meta)     CRDS format, checked against the stdatamodels schema
    neutral(meta)           the reference that changes nothing

Files are read with astropy (tolerant of what real files lack) and written through stdatamodels (strict).
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from astropy.io import fits

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.kernels import interleaved

FULL_FRAMES = ((2048, 2048), (1024, 1032))  # (y, x) of the detectors: files of such images may leave out their corner


def asdf_tree(path: Path) -> dict[str, Any]:
    """The tree of an ASDF reference file, whole in memory.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    import asdf

    try:
        with asdf.open(path, lazy_load=False, memmap=False) as file:
            return dict(file.tree)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable ASDF file ({error}); give another") from error


def window(header: Any, shape: tuple[int, int], meta: ExposureMeta, path: Path) -> tuple[slice, slice]:
    """Slices (y, x) that cut the exposure's window out of a reference image of the given (y, x) shape.

    By the corner that the file gives; a file without one is a full frame, or of the window if it has its shape. Raw
    IRS2 frames stay whole.

    Raises
    ------
    InputError
        If the reference does not cover the exposure's subarray, does not say what it covers, or is of another read-out.
    """
    if shape == interleaved.FRAME:
        if not meta.interleaved:
            raise InputError(f"{path}: of IRS2 frames, but the exposure was read with {meta.pattern}; use another file")
        return slice(None), slice(None)
    corner = header.get("SUBSTRT1"), header.get("SUBSTRT2")
    if None in corner:
        if shape == meta.shape:
            return slice(None), slice(None)
        if shape not in FULL_FRAMES:
            raise InputError(
                f"{path}: {shape[1]} x {shape[0]} pixels without SUBSTRT1, SUBSTRT2: it does not say which; add them"
            )
        corner = 1, 1
    x0, y0 = int(corner[0]), int(corner[1])
    x, y = meta.x_start - x0, meta.y_start - y0
    if x < 0 or y < 0 or x + meta.x_size > shape[1] or y + meta.y_size > shape[0]:
        raise InputError(
            f"{path}: reference covers x {x0}..{x0 + shape[1] - 1}, y {y0}..{y0 + shape[0] - 1}, not the exposure's "
            f"{meta.subarray} (x {meta.x_start}, y {meta.y_start}, {meta.x_size} x {meta.y_size}); use one that does"
        )
    return slice(y, y + meta.y_size), slice(x, x + meta.x_size)


def read_plane(hdus: fits.HDUList, name: str, meta: ExposureMeta, path: Path, dtype: Any = np.float32) -> np.ndarray:
    """An image extension (..., y, x), cut to the window, native endian."""
    if name not in hdus:
        raise InputError(f"{path}: no extension {name}; it is not a complete reference file")
    data = hdus[name].data
    rows, columns = window(hdus[0].header, data.shape[-2:], meta, path)
    return np.ascontiguousarray(data[..., rows, columns]).astype(dtype)


def read_dq(hdus: fits.HDUList, meta: ExposureMeta, path: Path, name: str = "DQ") -> np.ndarray:
    """The DQ plane in official bits, translated by DQ_DEF where the file numbers its own; zeros if absent."""
    if name not in hdus:
        return np.zeros(meta.shape, np.uint32)
    raw = read_plane(hdus, name, meta, path, np.uint32)
    if "DQ_DEF" not in hdus or hdus["DQ_DEF"].data is None or not len(hdus["DQ_DEF"].data):
        return raw
    out = np.zeros_like(raw)
    for row in hdus["DQ_DEF"].data:
        bit = flags.BITS.get(str(row["NAME"]).strip())
        if bit is not None:
            out |= np.where(raw & np.uint32(row["VALUE"]), np.uint32(bit), np.uint32(0))
    return out


def raw_shape(meta: ExposureMeta) -> tuple[int, int]:
    """(y, x) of frames as they are read."""
    return interleaved.FRAME if meta.interleaved else meta.shape


def parts(plane: np.ndarray, meta: ExposureMeta, path: Path | str = "") -> tuple[np.ndarray, np.ndarray | None]:
    """The image, and what IRS2 frames hold between its lines; None for other read-outs.

    Raises
    ------
    InputError
        If the exposure was read so and the plane was not.
    """
    if not meta.interleaved:
        return plane, None
    if plane.shape[-2:] != interleaved.FRAME:
        raise InputError(
            f"{path}: {plane.shape[-2:]} pixels (y, x) where frames of {meta.pattern} have {interleaved.FRAME}; "
            "use a file of that read-out"
        )
    return interleaved.split(plane, backwards=meta.fast_axis < 0)


def whole(image: Any, extra: Any, meta: ExposureMeta) -> np.ndarray:
    """The frame of its parts."""
    if extra is None:
        return np.asarray(image)
    return interleaved.join(np.asarray(image), np.asarray(extra), backwards=meta.fast_axis < 0)


def describe(model: Any, meta: ExposureMeta, reftype: str, *, window: bool = True) -> Any:
    """Fill the metadata every CRDS-format reference file carries."""
    m = model.meta
    m.telescope, m.reftype = "JWST", reftype
    m.instrument.name, m.instrument.detector = meta.instrument, meta.detector
    for name in ("filter", "pupil", "grating", "channel", "module"):
        if getattr(meta, name):
            setattr(m.instrument, name, getattr(meta, name))
    m.author, m.pedigree = "uptheramp", "SIMULATED"
    m.description = f"Simulated {reftype} reference of uptheramp"
    m.useafter = "2022-01-01T00:00:00"
    if hasattr(m, "exposure"):
        m.exposure.readpatt = meta.pattern
        m.exposure.type = meta.exp_type
    if window:
        s = m.subarray
        s.name, s.xstart, s.ystart, s.xsize, s.ysize = (
            meta.subarray,
            meta.x_start,
            meta.y_start,
            meta.x_size,
            meta.y_size,
        )
        s.fastaxis, s.slowaxis = meta.fast_axis, meta.slow_axis
    return model


def save(model: Any, path: Path, **options: Any) -> None:
    """Write a reference model beside its final name and rename it, so that no half-written file is ever seen.

    `options` go to the model's own save.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # in a folder of its own, because the model writes the name it is saved under into the header
    with TemporaryDirectory(dir=path.parent, prefix=".partial-") as folder:
        temporary = Path(folder) / path.name
        model.save(temporary, **options)
        temporary.replace(path)
