"""Level-1b files (`_uncal.fits`): written chunk by chunk, read chunk by chunk."""

from pathlib import Path
from types import TracebackType

import numpy as np

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io import planes
from uptheramp.calibrate.io.header import primary
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.io.streamed import StreamedFile


class UncalWriter:
    """Write one segment as the integrations come.

    Parameters
    ----------
    path
        Final name, `<root>-segNNN_uncal.fits`; it appears only when all integrations are written.
    meta
        Record of the segment (`integration_start`, `integration_end`).
    int_times, group_table
        Structured arrays (`io.times`) for this segment.
    refout_dn
        Level of MIRI's reference output; None where the detector has none.
    """

    def __init__(
        self,
        path: Path,
        meta: ExposureMeta,
        int_times: np.ndarray,
        group_table: np.ndarray,
        refout_dn: int | None = None,
    ):
        count = meta.integration_end - meta.integration_start + 1
        y, x = meta.shape
        images = {"SCI": ("uint16", (count, meta.ngroups, y, x), "DN")}
        if refout_dn is not None:
            images["REFOUT"] = ("uint16", (count, meta.ngroups, y, x // 4), "DN")
        self.count, self.written, self.refout_dn, self.meta = count, 0, refout_dn, meta
        header, tables = primary(meta, "Level1bModel", Path(path).name), {"GROUP": group_table, "INT_TIMES": int_times}
        self.file = StreamedFile(path, header, images, tables, meta.sci_cards())

    def __enter__(self) -> "UncalWriter":
        self.file.__enter__()
        return self

    def append(self, data: np.ndarray) -> None:
        """Add integrations: uint16 (integration, group, y, x)."""
        self.file.write(self.written, SCI=data)
        if self.refout_dn is not None:
            y, x = self.meta.shape
            level = np.full((len(data), self.meta.ngroups, y, x // 4), self.refout_dn, np.uint16)
            self.file.write(self.written, REFOUT=level)
        self.written += len(data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.written != self.count:
            error = ValueError(f"{self.file.path}: {self.written} integrations written, {self.count} announced")
            self.file.__exit__(ValueError, error, None)
            raise error
        self.file.__exit__(kind, error, trace)


def read(path: Path, first: int, count: int) -> np.ndarray:
    """Integrations first ... first + count - 1 (0-based in this file) of the SCI extension, native uint16.

    Files of averaged groups in floating point (simulations) come back as float32.
    """
    data = _piece(path, "SCI", first, count)
    assert data is not None  # `open_segment` refuses files without
    return data


def read_zeroframe(path: Path, first: int, count: int) -> np.ndarray | None:
    """The first frames of the same integrations, where the file keeps them."""
    return _piece(path, "ZEROFRAME", first, count)


def _piece(path: Path, name: str, first: int, count: int) -> np.ndarray | None:
    try:
        data = planes.read(path, name, first, count)
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"{path}: cannot read {name} ({error}); the file may be truncated, fetch it again") from error
    return None if data is None else np.asarray(data, np.uint16 if data.dtype.kind in "ui" else np.float32)
