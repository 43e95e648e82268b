"""SUPERBIAS: the bias level of each pixel, DN."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float, UInt32

from uptheramp.calibrate import flags
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base


class Level(eqx.Module):
    """Bias level (DN) and its flags."""

    data: Float[Array, "y x"]
    dq: UInt32[Array, "y x"]


class Superbias(Level):
    """Bias level (DN) and its flags; pixels without a value are 0 and UNRELIABLE_BIAS.

    `interleaved` is that of what IRS2 frames hold between the lines of the image.
    """

    interleaved: Level | None = None

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Superbias":
        """Read, crop, replace NaN."""
        with fits.open(path, memmap=False) as hdus:
            data = base.read_plane(hdus, "SCI", meta, path)
            dq = base.read_dq(hdus, meta, path) if "DQ" in hdus else np.zeros(data.shape, np.uint32)
        bad = ~np.isfinite(data)
        dq = dq | np.where(bad, flags.UNRELIABLE_BIAS, 0).astype(np.uint32)
        return cls._of(np.where(bad, np.float32(0), data), dq, meta, path)

    @classmethod
    def _of(cls, data: np.ndarray, dq: np.ndarray, meta: ExposureMeta, path: Path | str = "") -> "Superbias":
        (image, extra), (image_dq, extra_dq) = (base.parts(x, meta, path) for x in (data, dq))
        return cls(image, image_dq, None if extra is None or extra_dq is None else Level(extra, extra_dq))

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        data, dq = (
            base.whole(getattr(self, name), getattr(self.interleaved, name, None), meta) for name in ("data", "dq")
        )
        with datamodels.SuperBiasModel(data=data, dq=dq) as model:
            base.save(base.describe(model, meta, "SUPERBIAS"), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Superbias":
        """Zero bias."""
        shape = base.raw_shape(meta)
        return cls._of(np.zeros(shape, np.float32), np.zeros(shape, np.uint32), meta)
