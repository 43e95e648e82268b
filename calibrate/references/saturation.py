"""SATURATION: the raw level above which a pixel is saturated, DN."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float, UInt32

from uptheramp.calibrate import flags
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base

NEVER = 65536.0  # DN above what 16 bits hold: pixels without a threshold


class Saturation(eqx.Module):
    """Threshold (DN, bias included) and its flags; pixels without a threshold are `NEVER` and NO_SAT_CHECK."""

    data: Float[Array, "y x"]
    dq: UInt32[Array, "y x"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Saturation":
        """Read, crop, replace what is NaN or flagged NO_SAT_CHECK."""
        with fits.open(path, memmap=False) as hdus:
            data = base.read_plane(hdus, "SCI", meta, path)
            dq = base.read_dq(hdus, meta, path)
        return cls.tidy(data, dq)

    @classmethod
    def tidy(cls, data: np.ndarray, dq: np.ndarray) -> "Saturation":
        """Thresholds that are NaN or flagged NO_SAT_CHECK are never reached."""
        dq = dq | np.where(np.isfinite(data), 0, flags.NO_SAT_CHECK).astype(np.uint32)
        return cls(np.where((dq & flags.NO_SAT_CHECK) != 0, np.float32(NEVER), data), dq)

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        with datamodels.SaturationModel(data=np.asarray(self.data), dq=np.asarray(self.dq)) as model:
            base.save(base.describe(model, meta, "SATURATION"), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Saturation":
        """Nothing saturates."""
        return cls(np.full(meta.shape, NEVER, np.float32), np.zeros(meta.shape, np.uint32))
