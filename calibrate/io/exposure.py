"""An exposure on disk: one or many segments that belong together, served in chunks of one fixed shape.

Headers stay here; what the steps see are states (`Ramps`, `Rates`) without them.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.instruments.core import Instrument, Mode, Readout, Subarray
from uptheramp.calibrate.io import images, uncal, x1dints
from uptheramp.calibrate.io.meta import ExposureMeta, from_header, readout
from uptheramp.calibrate.io.times import DAY_S, has_int_times, read_int_times, unknown_times
from uptheramp.calibrate.kernels import interleaved
from uptheramp.calibrate.state import Ramps, Rates, Spectra, join, take

AXES = {"uncal": 4, "rateints": 3, "calints": 3, "crfints": 3, "x1dints": 1}  # of what holds the data
IMAGED = ("calints", "crfints")
LEVELS = {"uncal": 1, "rateints": 2, "calints": 3, "crfints": 3, "x1dints": 3}  # product -> the stage that takes it


@dataclass(frozen=True)
class Segment:
    """One file of an exposure."""

    path: Path
    meta: ExposureMeta
    level: str
    int_times: np.ndarray

    @property
    def first(self) -> int:
        """0-based number of its first integration in the exposure."""
        return self.meta.integration_start - 1

    @property
    def count(self) -> int:
        """Integrations in this file."""
        return self.meta.integration_end - self.meta.integration_start + 1


@dataclass(frozen=True)
class Exposure:
    """Segments in order, and what their headers say together."""

    segments: tuple[Segment, ...]
    instrument: Instrument
    mode: Mode | None
    subarray: Subarray

    @property
    def meta(self) -> ExposureMeta:
        """The record of the integrations present, as one segment."""
        first, last = self.segments[0].meta, self.segments[-1].meta
        return replace(first, segment=1, segments=1, integration_end=last.integration_end)

    @property
    def level(self) -> str:
        """Which product: uncal, rateints, calints, crfints or x1dints."""
        return self.segments[0].level

    @property
    def nints(self) -> int:
        """Integrations present."""
        return sum(segment.count for segment in self.segments)

    @cached_property
    def int_times(self) -> np.ndarray:
        """INT_TIMES rows of all segments."""
        return np.concatenate([segment.int_times for segment in self.segments])

    def require_times(self) -> None:
        """Refuse, in one line, to make light curves of what does not tell its times."""
        if not np.isfinite(self.int_times["int_start_BJD_TDB"]).all():
            raise InputError(
                f"{self.segments[0].path}: INT_TIMES is missing or empty; images and spectra can be made without the "
                "times of integrations, light curves cannot"
            )

    @cached_property
    def readout(self) -> Readout:
        """The static read-out."""
        read = readout(self.meta, lookup.reference_layout(self.subarray))
        # the reference output is none of the image's
        return replace(read, outputs=self.subarray.outputs) if self.meta.interleaved else read

    @property
    def root(self) -> str:
        """Name of the exposure's products: the first file's less `-segNNN` and the product suffix."""
        name = self.segments[0].path.name
        return name.rsplit("_", 1)[0].split("-seg")[0]

    def _pieces(self, first: int, count: int) -> Iterator[tuple[Segment, int, int]]:
        start = 0
        for segment in self.segments:
            low, high = max(first, start), min(first + count, start + segment.count)
            if low < high:
                yield segment, low - start, high - low
            start += segment.count

    def read(self, first: int, count: int) -> np.ndarray:
        """Raw ramps of integrations first ... first + count - 1 of those present, across segments."""
        pieces = [uncal.read(s.path, low, number) for s, low, number in self._pieces(first, count)]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def read_zeroframe(self, first: int, count: int) -> np.ndarray | None:
        """First frames of the same integrations, where the files keep them."""
        pieces = [uncal.read_zeroframe(s.path, low, number) for s, low, number in self._pieces(first, count)]
        kept = [piece for piece in pieces if piece is not None]
        if kept and self.meta.interleaved:
            raise InputError(f"{self.segments[0].path}: a ZEROFRAME beside {self.meta.pattern} is not known; remove it")
        return np.concatenate(kept) if len(kept) == len(pieces) else None

    def rates(self, first: int, count: int) -> Rates:
        """Per-integration images first ... first + count - 1 of a Stage 2 or 3 product, across segments."""
        pieces = [images.read(s.path, s.meta, low, number) for s, low, number in self._pieces(first, count)]
        return pieces[0] if len(pieces) == 1 else join([(0, len(piece.dq), piece) for piece in pieces])

    def rate_chunks(self, size: int) -> Iterator[tuple[int, int, Rates]]:
        """Yield (first, count, rates) with every chunk of the same shape; the last one repeats earlier integrations."""
        size = min(size, self.nints)
        for first in range(0, self.nints, size):
            count = min(size, self.nints - first)
            yield first, count, _wrapped(self.rates(first, count), size)

    def rate_sample(self, size: int) -> Rates:
        """Evenly spaced integrations, for steps that learn a reference."""
        return join([(0, 1, self.rates(int(i), 1)) for i in self._picks(size)])

    def spectra(self) -> Spectra:
        """Spectra of an x1dints product, all orders, across segments."""
        pieces = [x1dints.read(segment.path, segment.first) for segment in self.segments]
        return pieces[0] if len(pieces) == 1 else join([(0, len(piece.dq), piece) for piece in pieces])

    def _picks(self, size: int) -> np.ndarray:
        return np.unique(np.linspace(0, self.nints - 1, min(size, self.nints)).round().astype(int))

    @cached_property
    def start_s(self) -> np.ndarray:
        """Starts of the integrations present, s after the first one's."""
        start = self.int_times["int_start_MJD_UTC"]
        return (start - start[0]) * DAY_S

    def ramps(
        self, data: np.ndarray, integration: np.ndarray, valid: np.ndarray, zeroframe: np.ndarray | None = None
    ) -> Ramps:
        """A state of raw integrations; those not `valid` are padding and DO_NOT_USE throughout."""
        extra = None
        if self.meta.interleaved:
            data, extra = interleaved.split(data, backwards=self.meta.fast_axis < 0)
        groupdq = np.zeros(data.shape, np.uint8)
        groupdq[~valid] = flags.DO_NOT_USE
        return Ramps(
            data=jnp.asarray(data),
            groupdq=jnp.asarray(groupdq),
            pixeldq=jnp.zeros(data.shape[-2:], jnp.uint32),
            integration=jnp.asarray(integration, jnp.int32),
            frame_time_s=jnp.asarray(self.meta.frame_time_s),
            group_time_s=jnp.asarray(self.meta.group_time_s),
            readout=self.readout,
            start_s=jnp.asarray(self.start_s[np.clip(integration - self.segments[0].first, 0, self.nints - 1)]),
            zeroframe=None if zeroframe is None else jnp.asarray(zeroframe),
            interleaved=None if extra is None else jnp.asarray(extra),
            interleaved_dq=None if extra is None else jnp.zeros(extra.shape[-2:], jnp.uint32),
        )

    def chunks(self, size: int, start: int = 0) -> Iterator[tuple[int, int, Ramps]]:
        """Yield (first, count, ramps) from integration `start` on, every chunk of one shape; the last one is padded."""
        size = min(size, self.nints)
        offset = self.segments[0].first
        for first in range(start, self.nints, size):
            data, frames = self.read(first, size), self.read_zeroframe(first, size)
            count = len(data)
            number = np.arange(size) + first + offset
            frames = None if frames is None else _padded(frames, size)
            yield first, count, self.ramps(_padded(data, size), number, np.arange(size) < count, frames)

    def sample(self, size: int) -> tuple[int, Callable[[int, int], Ramps]]:
        """Evenly spaced integrations for steps that learn: their number, and who reads `count` of them from `first`."""
        picks = self._picks(size)

        def read(first: int, count: int) -> Ramps:
            chosen = picks[first : first + count]
            data = np.concatenate([self.read(int(i), 1) for i in chosen])
            kept = [frame for frame in (self.read_zeroframe(int(i), 1) for i in chosen) if frame is not None]
            frames = np.concatenate(kept) if len(kept) == len(chosen) else None
            return self.ramps(data, chosen + self.segments[0].first, np.ones(len(chosen), bool), frames)

        return len(picks), read


def _padded(data: np.ndarray, size: int) -> np.ndarray:
    """Fill up to `size` integrations with zeros."""
    if len(data) == size:
        return data
    return np.concatenate([data, np.zeros((size - len(data), *data.shape[1:]), data.dtype)])


def _wrapped(rates: Rates, size: int) -> Rates:
    """Pad to `size` integrations with copies of the first ones; the reader cuts them off again."""
    count = len(rates.dq)
    return rates if count == size else take(rates, np.arange(size) % count)


def open_segment(path: Path) -> Segment:
    """Read one file's headers and times, and refuse what cannot be reduced, in one line."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        # a truncated file is refused below, in our words
        with _without_warnings(), path.open("rb") as file, fits.open(file) as hdus:
            if "SCI" not in hdus and "EXTRACT1D" not in hdus:
                raise InputError(
                    f"{path}: no extension SCI or EXTRACT1D; give an uncal, rateints, calints or x1dints file"
                )
            meta = from_header(hdus[0].header, str(path), hdus["SCI"].header if "SCI" in hdus else None)
            if "SCI" not in hdus:
                return _checked(
                    Segment(path, meta, "x1dints", read_int_times(hdus, path)), (len(hdus["EXTRACT1D"].data),)
                )
            sci = hdus["SCI"]
            if not isinstance(sci, fits.ImageHDU):
                raise InputError(f"{path}: SCI is not an image; give an uncal, rateints, calints or x1dints file")
            place = sci.fileinfo()
            assert place is not None  # the file is open
            end = place["datLoc"] + abs(sci.header["BITPIX"]) // 8 * int(np.prod(sci.shape, dtype=np.int64))
            if path.stat().st_size < end:
                raise InputError(
                    f"{path}: the file is truncated ({path.stat().st_size} of {end} bytes); fetch it again"
                )
            shape = sci.shape
            level = _level(path, shape, hdus)
            meta = meta if level == "uncal" else _counted(meta, shape, path)
            timed = level == "uncal" or has_int_times(hdus)
            times = read_int_times(hdus, path) if timed else unknown_times(meta)
    except (OSError, TypeError, ValueError, LookupError) as error:
        raise InputError(
            f"{path}: not a readable FITS file ({error}); it may be truncated or of another kind"
        ) from error
    return _checked(Segment(path, meta, level, times), shape)


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)
        yield


def _level(path: Path, shape: tuple[int, ...], hdus: fits.HDUList) -> str:
    """Which product a file is: by its name where that is official, else by what it holds."""
    suffix = path.stem.rsplit("_", 1)[-1]
    if suffix in LEVELS:
        return suffix
    if len(shape) == 4:
        return "uncal"
    if len(shape) == 3 and "VAR_POISSON" in hdus:
        return "calints" if "WAVELENGTH" in hdus else "rateints"
    raise InputError(
        f"{path}: neither ramps (4 axes) nor per-integration rates; give an uncal, rateints or calints file"
    )


def _counted(meta: ExposureMeta, shape: tuple[int, ...], path: Path) -> ExposureMeta:
    """Number integrations from 1 where a header counts them from 0 and leaves out the last, as MIRISim does."""
    if meta.integration_end - meta.integration_start != shape[0]:
        return meta
    first = meta.integration_start + 1
    warnings.warn(
        f"{path}: INTSTART..INTEND is {meta.integration_start}..{meta.integration_end} for {shape[0]} integrations; "
        f"they are taken to be {first}..{meta.integration_end}",
        stacklevel=2,
    )
    return replace(meta, integration_start=first)


def _checked(segment: Segment, shape: tuple[int, ...]) -> Segment:
    path, meta = segment.path, segment.meta
    axes = AXES[segment.level]
    whole = meta.shape
    if axes == 4 and meta.interleaved:
        whole = interleaved.FRAME
        reads = meta.normal_reads or interleaved.NORMAL, meta.reference_reads or interleaved.REFERENCE
        if reads != (interleaved.NORMAL, interleaved.REFERENCE) or meta.shape != (interleaved.SIDE,) * 2:
            raise InputError(
                f"{path}: {meta.pattern} of {meta.shape} pixels (y, x) with NRS_NORM, NRS_REF = {reads} is not "
                "implemented, full frames of 16 and 4 alone; take its _rateints from the official pipeline"
            )
    if len(shape) != axes:
        raise InputError(f"{path}: SCI has {len(shape)} axes where a {segment.level} file has {axes}; wrong product?")
    if meta.nints == 0 or shape[0] == 0:
        raise InputError(f"{path}: no integrations (NINTS = {meta.nints}); nothing to reduce")
    if meta.ngroups == 0 or (axes == 4 and shape[1] == 0):
        raise InputError(f"{path}: no groups (NGROUPS = {meta.ngroups}); nothing to fit a slope to")
    if shape[-2:] != whole and segment.level == "uncal":
        raise InputError(f"{path}: SCI is {shape[-2:]} pixels (y, x), the header says {whole}; the file is damaged")
    if shape[0] != segment.count:
        raise InputError(
            f"{path}: {shape[0]} integrations, but INTSTART..INTEND is {meta.integration_start}..{meta.integration_end}"
        )
    if axes == 4 and shape[1] != meta.ngroups:
        raise InputError(f"{path}: {shape[1]} groups, but NGROUPS = {meta.ngroups}; the file is damaged")
    if len(segment.int_times) < segment.count:
        raise InputError(f"{path}: INT_TIMES has {len(segment.int_times)} rows for {segment.count} integrations")
    if len(segment.int_times) > segment.count:  # the archive repeats the whole exposure's table in every segment
        number = segment.int_times["integration_number"]
        mine = (number >= meta.integration_start) & (number <= meta.integration_end)
        if mine.sum() != segment.count:
            raise InputError(f"{path}: INT_TIMES does not number integrations {meta.integration_start}.. as the header")
        return replace(segment, int_times=segment.int_times[mine])
    return segment


def open_exposure(paths: Sequence[Path]) -> Exposure:
    """Open files as one exposure.

    Raises
    ------
    InputError
        For missing or damaged files, files of different exposures or products, missing or repeated segments,
        and modes that no table knows.
    """
    if not paths:
        raise InputError("no files given")
    segments = sorted((open_segment(path) for path in paths), key=lambda s: s.meta.integration_start)
    first = segments[0]
    same = ("instrument", "detector", "exp_type", "subarray", "pattern", "ngroups", "filter", "pupil", "grating")
    for before, after in zip(segments, segments[1:], strict=False):
        if after.level != first.level:
            raise InputError(f"{after.path}: a {after.level} file beside {first.level} files; give one kind at a time")
        other = [name for name in same if getattr(after.meta, name) != getattr(first.meta, name)]
        if other:
            raise InputError(f"{after.path}: another exposure than {first.path.name} ({', '.join(other)} differ)")
        if after.meta.integration_start != before.meta.integration_end + 1:
            raise InputError(
                f"{after.path}: starts at integration {after.meta.integration_start}, but {before.path.name} ends at "
                f"{before.meta.integration_end}; give every segment once"
            )
        if after.level in IMAGED and images.tells_imputed(after.path) != images.tells_imputed(first.path):
            raise InputError(
                f"{after.path}: pixels were replaced there or in {first.path.name}, not in both (IMPUTED); make both "
                "by the same steps"
            )
    try:
        instrument, mode, subarray = lookup.match(first.meta)
    except InputError as error:
        raise InputError(f"{first.path}: {error}") from error
    return Exposure(tuple(segments), instrument, mode, subarray)
