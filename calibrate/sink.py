"""Where the chunks of Stage 1 go: per-integration rates, their mean, and how far they have come."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple

import jax
import numpy as np

from uptheramp.calibrate import checkpoint, flags
from uptheramp.calibrate.checkpoint import Checkpoint
from uptheramp.calibrate.io import images
from uptheramp.calibrate.io.atomic import partial, whole
from uptheramp.calibrate.io.exposure import Exposure
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.io.streamed import StreamedFile
from uptheramp.calibrate.io.times import group_times_s
from uptheramp.calibrate.stream import Reduced

UNIT = "DN/s"
CHECKPOINT_S = 10.0  # between two


class Outputs(NamedTuple):
    """The files of Stage 1, and what they are made from; `groupdq`, if wanted, holds the flags that the fit saw."""

    rateints: Path
    mean: Path
    groupdq: Path | None
    made_from: str

    @property
    def paths(self) -> list[Path]:
        """All of them."""
        return [path for path in (self.rateints, self.mean, self.groupdq) if path is not None]

    @property
    def checkpoint(self) -> Path:
        """Where it is kept how far they have come."""
        return self.rateints.with_name(f".checkpoint-{self.rateints.stem}.npz")

    def begun(self) -> Checkpoint | None:
        """How far a stopped run came, if all that it wrote is still there."""
        unfinished = [partial(path) for path in self.paths if path != self.mean]
        return checkpoint.load(self.checkpoint, self.made_from) if all(p.is_file() for p in unfinished) else None


class Sink:
    """Takes chunks to the disk in order, in a `with` block; left without an error, all files of Stage 1 are there."""

    def __init__(self, exposure: Exposure, cards: dict[str, str], outputs: Outputs):
        self.exposure, self.cards, self.outputs = exposure, cards, outputs
        self.begun = outputs.begun()
        self._total = Mean({} if self.begun is None else self.begun.sums)
        self._meta, self._saved_s = exposure.meta, monotonic()
        self._file: StreamedFile | None = None
        self._groupdq: np.ndarray | None = None
        self._stack = ExitStack()

    def __enter__(self) -> "Sink":
        self._stack.__enter__()
        if self.begun is not None:
            self._file = self._open(self.begun.mean_group_s)
        return self

    def _open(self, mean_group_s: float) -> StreamedFile:
        """Open the files; which groups count is known once the first chunk is flagged."""
        self._meta = replace(self._meta, mean_group_s=mean_group_s)
        exposure, resume = self.exposure, self.begun is not None
        if self.outputs.groupdq is not None:
            path = self._stack.enter_context(whole(self.outputs.groupdq, resumable=True))
            shape = (exposure.nints, self._meta.ngroups, *self._meta.shape)
            self._groupdq = np.lib.format.open_memmap(path, "r+" if resume else "w+", np.uint8, shape)
        file = images.writer(self.outputs.rateints, self._meta, exposure.int_times, UNIT, self.cards, resume=resume)
        return self._stack.enter_context(file)

    def take(self, chunk: Reduced) -> int:
        """Write one chunk; returns how many integrations are done."""
        groupdq = np.asarray(chunk.groupdq[: chunk.count])
        if self._file is None:
            self._file = self._open(mean_used_s(groupdq, self._meta))
        done = chunk.first + chunk.count
        piece = images.pieces(chunk.rates, chunk.count)
        self._file.write(chunk.first, **piece)
        if self._groupdq is not None:
            self._groupdq[chunk.first : done] = groupdq
        self._total.add(piece)
        if monotonic() - self._saved_s > CHECKPOINT_S:
            self._save(done, chunk.memory, self._file)
        return done

    def _save(self, done: int, memory: dict[str, Any], file: StreamedFile) -> None:
        file.flush()
        if isinstance(self._groupdq, np.memmap):
            self._groupdq.flush()
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(memory)]
        now = Checkpoint(done, float(self._meta.mean_group_s or 0), self._total.sums, leaves)
        checkpoint.save(self.outputs.checkpoint, self.outputs.made_from, now)
        self._saved_s = monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if kind is None:
            images.write_mean(self.outputs.mean, self._meta, self._total.result(), UNIT, self.cards)
            self.outputs.checkpoint.unlink(missing_ok=True)


def mean_used_s(groupdq: np.ndarray, meta: ExposureMeta) -> float:
    """Mean time (s after INT_START) of the groups that are not DO_NOT_USE in most pixels: steps drop whole groups."""
    used = ((groupdq & flags.DO_NOT_USE) == 0).mean((0, 2, 3)) > 0.5
    return float(group_times_s(meta)[used if used.any() else slice(None)].mean())


class Mean:
    """Running mean over integrations of the usable values of each pixel."""

    def __init__(self, sums: dict[str, np.ndarray]):
        self.sums = sums

    def add(self, piece: dict[str, np.ndarray]) -> None:
        """Add integrations, as arrays by extension."""
        good = np.isfinite(piece["SCI"])
        new = {name: np.where(good, piece[name], 0).sum(0, np.float64) for name in ("SCI", "VAR_POISSON", "VAR_RNOISE")}
        new["n"] = good.sum(0)
        new["DQ"] = np.bitwise_and.reduce(piece["DQ"])
        if not self.sums:
            self.sums = new
            return
        self.sums = {n: self.sums[n] & new[n] if n == "DQ" else self.sums[n] + new[n] for n in new}

    def result(self) -> dict[str, np.ndarray]:
        """The mean image by extension."""
        n = np.where(self.sums["n"] > 0, self.sums["n"], np.nan)
        mean = {"SCI": self.sums["SCI"] / n, "DQ": self.sums["DQ"]}
        mean |= {name: self.sums[name] / n**2 for name in ("VAR_POISSON", "VAR_RNOISE")}
        mean["ERR"] = np.sqrt(mean["VAR_POISSON"] + mean["VAR_RNOISE"])
        return mean
