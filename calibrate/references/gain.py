"""GAIN: electrons per DN of each pixel."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float

from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base


class Gain(eqx.Module):
    """Gain (e-/DN; not positive where unknown) and the factor GAINFACT that gain_scale applies to rates."""

    data: Float[Array, "y x"]
    factor: Float[Array, ""]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Gain":
        """Read and crop; NaN becomes 0, the mark of a pixel without a gain."""
        with fits.open(path, memmap=False) as hdus:
            data = base.read_plane(hdus, "SCI", meta, path)
            factor = hdus[0].header.get("GAINFACT") or 1.0
        return cls(np.where(np.isfinite(data), data, np.float32(0)), np.float32(factor))

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        with datamodels.GainModel(data=np.asarray(self.data)) as model:
            described = base.describe(model, meta, "GAIN")
            described.meta.exposure.gain_factor = float(self.factor)
            base.save(described, path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Gain":
        """One electron per DN."""
        return cls(np.ones(meta.shape, np.float32), np.float32(1))
