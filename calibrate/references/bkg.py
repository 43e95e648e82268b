"""BKG: the shape of the sky behind SOSS, in templates that are scaled when they are used."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float

from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base


class Bkg(eqx.Module):
    """Templates of the sky before the flat is divided out, in any unit; 0 where a template has no value."""

    data: Float[np.ndarray | Array, "template y x"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Bkg":
        """Read and crop; a file of one image is one template."""
        with fits.open(path, memmap=False) as hdus:
            data = base.read_plane(hdus, "SCI", meta, path)
        data = data if data.ndim == 3 else data[None]
        return cls(np.where(np.isfinite(data), data, 0).astype(np.float32))

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        with datamodels.SossBkgModel(data=np.asarray(self.data, np.float32)) as model:
            base.save(base.describe(model, meta, "BKG"), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Bkg":
        """A template without sky."""
        return cls(np.zeros((1, *meta.shape), np.float32))
