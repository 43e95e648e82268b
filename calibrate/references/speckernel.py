"""SPECKERNEL: how a line of SOSS is spread along the dispersion, by wavelength."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base

PER_PX = 10  # samples a pixel, where a file does not say


class Speckernel(eqx.Module):
    """Line spread, unit sum, at `per_px` samples a pixel about its middle, before the pixels integrate it."""

    wavelength_um: Float[np.ndarray | Array, "wavelength"]
    kernel: Float[np.ndarray | Array, "sample wavelength"]
    per_px: int = eqx.field(static=True)

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Speckernel":
        """Read the kernels; the file serves every window.

        Raises
        ------
        InputError
            If it does not hold kernels of an odd number of samples.
        """
        del meta
        with fits.open(path, memmap=False) as hdus:
            if "KERNELS" not in hdus or "WAVELENGTHS" not in hdus:
                raise InputError(f"{path}: no KERNELS and WAVELENGTHS; it is not a SPECKERNEL reference file")
            kernel = np.asarray(hdus["KERNELS"].data, np.float32)
            wavelength = np.asarray(hdus["WAVELENGTHS"].data, np.float32)[0]
            per_px = int(hdus["KERNELS"].header.get("SPECOS", PER_PX))
        if len(kernel) % 2 == 0:
            raise InputError(f"{path}: kernels of {len(kernel)} samples have no middle one; give another SPECKERNEL")
        return cls(wavelength, kernel, per_px)

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        kernel = np.asarray(self.kernel, np.float32)
        wavelength = np.asarray(self.wavelength_um, np.float32)
        with datamodels.SpecKernelModel(
            wavelengths=np.broadcast_to(wavelength, kernel.shape).copy(), kernels=kernel
        ) as model:
            base.describe(model, meta, "SPECKERNEL", window=False)
            about = {"nwave": len(wavelength), "wavemin": float(wavelength[0]), "wavemax": float(wavelength[-1])}
            about |= {"halfwidth": len(kernel) // 2 // self.per_px, "centroid_index": len(kernel) // 2}
            for name, value in (about | {"spectral_oversampling": self.per_px}).items():
                setattr(model.meta, name, value)
            base.save(model, path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Speckernel":
        """Lines that are not spread."""
        del meta
        kernel = np.zeros((21, 2), np.float32)
        kernel[10] = 1
        return cls(np.array([0.5, 5.5], np.float32), kernel, 10)
