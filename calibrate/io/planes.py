"""Pieces of the images of a FITS file, read at the speed of the disk.

astropy opens the file anew for each piece and takes unsigned integers through floats; here the headers are read once
and the numbers are swapped and shifted where they lie.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits

_TYPES = {8: ">u1", 16: ">i2", 32: ">i4", -32: ">f4", -64: ">f8"}


class Plane(NamedTuple):
    """An image extension: where its data begin (bytes), how they are stored, and its unit.

    `stored` is None for what is compressed or scaled, which is left to astropy.
    """

    offset: int
    stored: str | None
    unsigned: bool
    shape: tuple[int, ...]
    unit: str | None


def planes(path: Path) -> dict[str, Plane]:
    """The image extensions of a file by name (the first of each)."""
    stat = path.stat()
    return _planes(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _planes(path: Path, _size: int, _changed: int) -> dict[str, Plane]:
    with fits.open(path) as hdus:
        found = [(hdu.name, _plane(hdu)) for hdu in hdus[1:] if isinstance(hdu, fits.ImageHDU | fits.CompImageHDU)]
    return dict(reversed(found))


def _plane(hdu: Any) -> Plane:
    # astropy takes the scaling out of the header that it shows
    zero, scale, bits = hdu._orig_bzero, hdu._orig_bscale, hdu._orig_bitpix  # noqa: SLF001
    unsigned = zero != 0 and zero == 1 << (abs(bits) - 1)
    plain = isinstance(hdu, fits.ImageHDU) and scale == 1 and (zero == 0 or unsigned) and bits in _TYPES
    place: Any = hdu.fileinfo()  # of an open file
    return Plane(place["datLoc"], _TYPES[bits] if plain else None, unsigned, hdu.shape, hdu.header.get("BUNIT"))


def read(path: Path, name: str, first: int, count: int) -> np.ndarray | None:
    """Planes first ... first + count - 1 of an extension along its first axis, native; None where there is none.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read or ends too early.
    """
    plane = planes(path).get(name)
    if plane is None:
        return None
    if plane.stored is None:
        with fits.open(path) as hdus:
            return np.asarray(hdus[name].section[first : first + count])
    shape = (max(0, min(count, plane.shape[0] - first)), *plane.shape[1:])
    each = int(np.prod(shape[1:])) * np.dtype(plane.stored).itemsize
    values = np.fromfile(path, plane.stored, int(np.prod(shape)), offset=plane.offset + first * each)
    values = values.reshape(shape)
    if not values.dtype.isnative:
        values = values.byteswap(inplace=True).view(values.dtype.newbyteorder())
    if plane.unsigned:
        values = values.view(f"u{values.dtype.itemsize}")
        values ^= values.dtype.type(1 << (8 * values.dtype.itemsize - 1))
    return values
