"""TRAPDENSITY: how many charge traps each pixel has."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float

from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base


class TrapDensity(eqx.Module):
    """How many times as many traps as those of TRAPPARS a pixel holds; 0 where unknown."""

    data: Float[Array, "y x"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "TrapDensity":
        """Read and crop; NaN becomes 0."""
        with fits.open(path, memmap=False) as hdus:
            data = base.read_plane(hdus, "SCI", meta, path)
        return cls(np.where(np.isfinite(data), data, np.float32(0)))

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        with datamodels.TrapDensityModel(data=np.asarray(self.data)) as model:
            base.save(base.describe(model, meta, "TRAPDENSITY"), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "TrapDensity":
        """No traps."""
        return cls(np.zeros(meta.shape, np.float32))
