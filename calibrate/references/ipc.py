"""IPC: the kernel that undoes the crosstalk between neighbouring pixels."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base


class Ipc(eqx.Module):
    """Deconvolution kernel: the correction convolves with it. One for all pixels, or `[ky, kx, y, x]` one for each."""

    kernel: Float[Array, "ky kx ..."]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Ipc":
        """Read; kernels by pixel are cropped, and are the identity where a value is NaN."""
        with fits.open(path, memmap=False) as hdus:
            if "SCI" in hdus and hdus["SCI"].data.ndim == 2:
                kernel = np.ascontiguousarray(hdus["SCI"].data).astype(np.float32)
                if not np.isfinite(kernel).all():
                    raise InputError(f"{path}: the IPC kernel holds NaN; use another file or skip the ipc step")
                return cls(kernel)
            kernel = base.read_plane(hdus, "SCI", meta, path)
        identity = cls.neutral(meta, kernel.shape[0]).kernel[..., None, None]
        return cls(np.where(np.isfinite(kernel).all((0, 1)), kernel, identity))

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        with datamodels.IPCModel(data=np.asarray(self.kernel)) as model:
            base.save(base.describe(model, meta, "IPC", window=self.kernel.ndim == 4), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta, size: int = 3) -> "Ipc":
        """The identity."""
        kernel = np.zeros((size, size), np.float32)
        kernel[size // 2, size // 2] = 1
        return cls(kernel)
