"""READNOISE: the noise of a difference of two reads, DN."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float

from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base


class ReadNoise(eqx.Module):
    """Correlated double sampling noise (DN), sqrt(2) times that of one read; 0 where unknown."""

    data: Float[Array, "y x"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "ReadNoise":
        """Read and crop; NaN becomes 0."""
        with fits.open(path, memmap=False) as hdus:
            data = base.read_plane(hdus, "SCI", meta, path)
        return cls(np.where(np.isfinite(data), data, np.float32(0)))

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        with datamodels.ReadnoiseModel(data=np.asarray(self.data)) as model:
            base.save(base.describe(model, meta, "READNOISE"), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "ReadNoise":
        """No read noise."""
        return cls(np.zeros(meta.shape, np.float32))
