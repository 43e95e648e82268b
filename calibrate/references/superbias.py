"""SUPERBIAS: the bias level of each pixel, DN."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float, UInt32

from uptheramp.calibrate import flags
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base


class Superbias(eqx.Module):
    """Bias level (DN) and its flags; pixels without a value are 0 and UNRELIABLE_BIAS."""

    data: Float[Array, "y x"]
    dq: UInt32[Array, "y x"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Superbias":
        """Read, crop, replace NaN."""
        with fits.open(path, memmap=False) as hdus:
            data = base.read_plane(hdus, "SCI", meta, path)
            dq = base.read_dq(hdus, meta, path)
        bad = ~np.isfinite(data)
        return cls(np.where(bad, np.float32(0), data), dq | np.where(bad, flags.UNRELIABLE_BIAS, 0).astype(np.uint32))

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        with datamodels.SuperBiasModel(data=np.asarray(self.data), dq=np.asarray(self.dq)) as model:
            base.save(base.describe(model, meta, "SUPERBIAS"), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Superbias":
        """Zero bias."""
        return cls(np.zeros(meta.shape, np.float32), np.zeros(meta.shape, np.uint32))
