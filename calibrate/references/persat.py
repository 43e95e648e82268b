"""PERSAT: the signal that fills the traps of each pixel."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float

from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base


class PerSat(eqx.Module):
    """Signal (DN) above which a pixel's traps take no more; 0 where unknown: the pixel has no traps."""

    data: Float[Array, "y x"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "PerSat":
        """Read and crop; NaN becomes 0."""
        with fits.open(path, memmap=False) as hdus:
            data = base.read_plane(hdus, "SCI", meta, path)
        return cls(np.where(np.isfinite(data), data, np.float32(0)))

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        with datamodels.PersistenceSatModel(data=np.asarray(self.data)) as model:
            base.save(base.describe(model, meta, "PERSAT"), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "PerSat":
        """Unknown everywhere."""
        return cls(np.zeros(meta.shape, np.float32))
