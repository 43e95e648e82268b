"""RESET: MIRI's reset anomaly, DN, by integration and group."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float, UInt32

from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base


class Reset(eqx.Module):
    """Signal (DN) left by the reset; the last integration serves all later ones, groups beyond the file's have none."""

    data: Float[Array, "integration group y x"]
    dq: UInt32[Array, "y x"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Reset":
        """Read, crop, cut or pad to the groups of the exposure, replace NaN by 0."""
        with fits.open(path, memmap=False) as hdus:
            data = base.read_plane(hdus, "SCI", meta, path)
            dq = base.read_dq(hdus, meta, path)
        data = np.where(np.isfinite(data), data, np.float32(0))
        data = (data if data.ndim == 4 else data[None])[:, : meta.ngroups]
        padding = [(0, 0), (0, meta.ngroups - data.shape[1]), (0, 0), (0, 0)]
        return cls(np.pad(data, padding), np.bitwise_or.reduce(dq.reshape(-1, *meta.shape), axis=0))

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        with datamodels.ResetModel(data=np.asarray(self.data), dq=np.asarray(self.dq)) as model:
            exposure = base.describe(model, meta, "RESET").meta.exposure
            exposure.nints, exposure.ngroups = self.data.shape[:2]
            base.save(model, path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Reset":
        """No anomaly."""
        return cls(np.zeros((1, meta.ngroups, *meta.shape), np.float32), np.zeros(meta.shape, np.uint32))
