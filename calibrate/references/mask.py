"""MASK: pixels that are bad or are reference pixels."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, UInt32

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base


class Mask(eqx.Module):
    """Data-quality bits of each pixel, and of what IRS2 frames hold between the lines of the image."""

    dq: UInt32[Array, "y x"]
    interleaved: UInt32[Array, "extra x"] | None = None

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Mask":
        """Read and crop."""
        with fits.open(path, memmap=False) as hdus:
            if "DQ" not in hdus:
                raise InputError(f"{path}: no extension DQ; it is not a complete reference file")
            return cls(*base.parts(base.read_dq(hdus, meta, path), meta, path))

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        with datamodels.MaskModel(dq=base.whole(self.dq, self.interleaved, meta)) as model:
            base.save(base.describe(model, meta, "MASK"), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Mask":
        """No flags."""
        return cls(*base.parts(np.zeros(base.raw_shape(meta), np.uint32), meta))
