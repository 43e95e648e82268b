"""DARK: the signal without light, DN, at the groups of the exposure."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float, UInt32

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base

# the schema that each instrument's dark follows; MIRI's has a plane for each of the first integrations
MODELS = {"MIRI": "DarkMIRIModel", "NIRSPEC": "DarkNirspecModel"}


class Dark(eqx.Module):
    """Dark signal (DN) by integration (the last serves all later ones) and group, flags, and mean dark current (e-/s).

    The current is there for its Poisson noise, which the slope fit counts.
    """

    data: Float[Array, "integration group y x"]
    dq: UInt32[Array, "y x"]
    current: Float[Array, "y x"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Dark":
        """Read, crop, bring the frames to the groups of the exposure, replace NaN by 0.

        Raises
        ------
        InputError
            If the dark was averaged over more frames, or skipped more, than the exposure.
        """
        with fits.open(path, memmap=False) as hdus:
            data = base.read_plane(hdus, "SCI", meta, path)
            dq = _collapsed(hdus, meta, path)
            header = hdus[0].header
            current = np.full(meta.shape, header.get("AVDRKCUR") or 0.0, np.float32)
            if "AVDRKCUR" in hdus and np.any(hdus["AVDRKCUR"].data):
                current = np.nan_to_num(base.read_plane(hdus, "AVDRKCUR", meta, path))
        data = np.where(np.isfinite(data), data, np.float32(0))
        pattern = int(header.get("NFRAMES") or 1), int(header.get("GROUPGAP") or 0)
        if pattern[0] > meta.nframes or pattern[1] > meta.groupgap:
            raise InputError(
                f"{path}: dark with NFRAMES {pattern[0]}, GROUPGAP {pattern[1]} cannot serve an exposure with "
                f"{meta.nframes}, {meta.groupgap}; use one that is not averaged more"
            )
        data = data if data.ndim == 4 else data[None]
        return cls(_to_groups(data, pattern, meta), dq, current)

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        model_class = getattr(datamodels, MODELS.get(meta.instrument, "DarkModel"))
        data, dq = np.asarray(self.data), np.asarray(self.dq)
        by_integration = model_class is datamodels.DarkMIRIModel
        if by_integration:
            model = model_class(data=data, dq=np.broadcast_to(dq, (len(data), 1, *dq.shape)).copy())
        else:
            model = model_class(data=data[0], dq=dq)
        with model:
            exposure = base.describe(model, meta, "DARK").meta.exposure
            exposure.nframes, exposure.groupgap, exposure.ngroups = meta.nframes, meta.groupgap, data.shape[1]
            exposure.average_dark_current = float(np.mean(self.current))
            base.save(model, path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Dark":
        """No dark signal."""
        return cls(
            np.zeros((1, meta.ngroups, *meta.shape), np.float32),
            np.zeros(meta.shape, np.uint32),
            np.zeros(meta.shape, np.float32),
        )


def _collapsed(hdus: fits.HDUList, meta: ExposureMeta, path: Path) -> np.ndarray:
    """Flags set in any integration."""
    dq = base.read_dq(hdus, meta, path)
    return np.bitwise_or.reduce(dq.reshape(-1, *meta.shape), axis=0)


def _to_groups(data: np.ndarray, pattern: tuple[int, int], meta: ExposureMeta) -> np.ndarray:
    """Average frames as the exposure did; a dark that is too short goes on with its last difference."""
    nframes, gap = pattern
    frames = meta.ngroups * meta.nframes + (meta.ngroups - 1) * meta.groupgap
    lacking = frames - (data.shape[1] * nframes + (data.shape[1] - 1) * gap)
    if lacking > 0:
        extra = np.arange(1, -(-(lacking + gap) // (nframes + gap)) + 1, dtype=np.float32)[:, None, None]
        last = data[:, -1:]
        step = last - data[:, -2:-1] if data.shape[1] > 1 else np.zeros_like(last)
        data = np.concatenate([data, last + extra * step], axis=1)
    if pattern == (meta.nframes, meta.groupgap):
        return np.ascontiguousarray(data[:, : meta.ngroups])
    starts = np.arange(meta.ngroups) * (meta.nframes + meta.groupgap)
    return np.stack([data[:, s : s + meta.nframes].mean(1, dtype=np.float32) for s in starts], axis=1)
