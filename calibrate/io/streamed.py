"""FITS files filled piece by piece: space for every image is laid out first, pieces are written where they belong.

astropy's own path for unsigned integers moves 0.1 GB/s and needs the whole array; this one streams at disk speed.
Unsigned integers are stored as FITS does it: signed, with the top bit flipped and BZERO saying so.
"""

import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from astropy.io import fits

from uptheramp.calibrate.io.asdf_extension import asdf_extension
from uptheramp.calibrate.io.atomic import whole

_BITPIX = {"uint8": 8, "uint16": 16, "uint32": 32, "float32": -32}
_STORED = {"uint8": ">u1", "uint16": ">i2", "uint32": ">i4", "float32": ">f4"}
_FLIPPED = ("uint16", "uint32")  # bytes are unsigned in FITS
_BLOCK = 2880


def _header(name: str, dtype: str, shape: tuple[int, ...], unit: str, cards: Mapping[str, Any]) -> fits.Header:
    header = fits.Header()
    header["XTENSION"], header["BITPIX"], header["NAXIS"] = "IMAGE", _BITPIX[dtype], len(shape)
    for axis, length in enumerate(reversed(shape), start=1):
        header[f"NAXIS{axis}"] = length
    header["PCOUNT"], header["GCOUNT"], header["EXTNAME"] = 0, 1, name
    if dtype in _FLIPPED:
        header["BSCALE"], header["BZERO"] = 1, 1 << (8 * np.dtype(dtype).itemsize - 1)
    if unit:
        header["BUNIT"] = unit
    header.update(cards)
    return header


class StreamedFile:
    """A FITS file whose images are written in pieces along their first axis; it appears only when complete.

    Parameters
    ----------
    path
        Final name.
    primary
        Primary HDU.
    images
        Extension name -> (dtype name, shape, unit).
    tables
        Extension name -> structured array, appended at the end.
    sci_cards
        Further keywords of SCI.
    resume
        Keep what a stopped run has left of the file, and leave it if this one is stopped: None to write it in one go,
        else whether there is anything to keep.
    """

    def __init__(
        self,
        path: Path,
        primary: fits.PrimaryHDU,
        images: dict[str, tuple[str, tuple[int, ...], str]],
        tables: dict[str, np.ndarray],
        sci_cards: Mapping[str, Any] | None = None,
        resume: bool | None = None,
    ):
        self.path, self.primary, self.images, self.tables = Path(path), primary, images, tables
        self.sci_cards, self.resume = dict(sci_cards or {}), resume

    def __enter__(self) -> "StreamedFile":
        self._context = whole(self.path, resumable=self.resume is not None)
        self._temporary = self._context.__enter__()
        self._offsets: dict[str, int] = {}
        # written, not mapped: pages of a mapped file count as memory of the process
        self._file = file = self._temporary.open("r+b" if self.resume else "w+b")
        primary = BytesIO()
        self.primary.writeto(primary)  # into the file itself astropy would look for what follows
        file.write(primary.getvalue())
        for name, (dtype, shape, unit) in self.images.items():
            cards = self.sci_cards if name == "SCI" else {}
            file.write(_header(name, dtype, shape, unit, cards).tostring().encode("ascii"))
            self._offsets[name] = file.tell()
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            file.seek(self._offsets[name] + -(-size // _BLOCK) * _BLOCK)
        file.truncate()
        return self

    def write(self, first: int, **pieces: np.ndarray) -> None:
        """Put pieces at `first` along the first axis of the named extensions.

        Raises
        ------
        ValueError
            For a piece that does not fit there.
        """
        for name, piece in pieces.items():
            dtype, shape, _ = self.images[name]
            piece = np.asarray(piece).astype(dtype, copy=False)
            if piece.shape[1:] != tuple(shape[1:]) or first + len(piece) > shape[0]:
                raise ValueError(f"{name}: a piece of shape {piece.shape} at {first} does not fit into {tuple(shape)}")
            if dtype in _FLIPPED:
                piece = (piece ^ np.array(1 << (8 * piece.itemsize - 1), dtype)).view(dtype.removeprefix("u"))
            self._file.seek(self._offsets[name] + first * piece[:1].nbytes)
            self._file.write(np.ascontiguousarray(piece, _STORED[dtype]).data)

    def flush(self) -> None:
        """See to it that what was written is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None:
            with fits.open(self._temporary, mode="append", memmap=False) as hdus:
                hdus.extend(fits.BinTableHDU(table, name=name) for name, table in self.tables.items())
                hdus.append(asdf_extension(self.primary, self.sci_cards))
        self._context.__exit__(kind, error, trace)
