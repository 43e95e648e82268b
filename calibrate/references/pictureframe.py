"""PICTUREFRAME: the thermal pattern of NIRSpec's full frames."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float

from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base


class PictureFrame(eqx.Module):
    """The pattern, DN/s; only its shape counts. NaN where it is unknown."""

    data: Float[Array, "y x"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "PictureFrame":
        """Read and crop."""
        with fits.open(path, memmap=False) as hdus:
            return cls(base.read_plane(hdus, "SCI", meta, path))

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "PictureFrame":
        """No pattern."""
        return cls(np.zeros(meta.shape, np.float32))
