"""FLAT: the relative response of each pixel."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float, UInt32

from uptheramp.calibrate import flags
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base


class Flat(eqx.Module):
    """Relative response (1 on average), its standard error and its flags; pixels without a value are 1 and flagged."""

    data: Float[Array, "y x"]
    err: Float[Array, "y x"]
    dq: UInt32[Array, "y x"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Flat":
        """Read and crop; NaN, zero and NO_FLAT_FIELD pixels become 1 +- 0 with NO_FLAT_FIELD | DO_NOT_USE."""
        with fits.open(path, memmap=False) as hdus:
            data = base.read_plane(hdus, "SCI", meta, path)
            err = base.read_plane(hdus, "ERR", meta, path) if "ERR" in hdus else np.zeros_like(data)
            dq = base.read_dq(hdus, meta, path)
        absent = ~np.isfinite(data) | (data == 0) | ((dq & flags.NO_FLAT_FIELD) != 0)
        dq |= np.where(absent, flags.NO_FLAT_FIELD | flags.DO_NOT_USE, 0).astype(np.uint32)
        unusable = (dq & flags.DO_NOT_USE) != 0
        err = np.where(unusable | ~np.isfinite(err), np.float32(0), err)
        return cls(np.where(unusable, np.float32(1), data), err, dq)

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        planes = {"data": np.asarray(self.data), "err": np.asarray(self.err), "dq": np.asarray(self.dq)}
        with datamodels.FlatModel(**planes) as model:
            base.save(base.describe(model, meta, "FLAT"), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Flat":
        """One everywhere, known exactly."""
        return cls(np.ones(meta.shape, np.float32), np.zeros(meta.shape, np.float32), np.zeros(meta.shape, np.uint32))
