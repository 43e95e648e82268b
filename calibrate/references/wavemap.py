"""WAVEMAP: the wavelength that falls on each pixel.

A file of this type is ours alone. Without one the map is made from the optical references (specwcs, camera, ...) from
which the official assign_wcs computes the same.
"""

from collections.abc import Mapping
from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float

from uptheramp.calibrate.io.atomic import whole
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base
from uptheramp.calibrate.references.optics.models import MODELS

# what tells for which exposures the map is
KEYS = ("INSTRUME", "DETECTOR", "EXP_TYPE", "FILTER", "PUPIL", "GRATING", "CHANNEL", "MODULE")
KEYS += ("SUBARRAY", "SUBSTRT1", "SUBSTRT2", "SUBSIZE1", "SUBSIZE2", "FASTAXIS", "SLOWAXIS")


class Wavemap(eqx.Module):
    """Wavelength (micron) of each pixel, NaN where no light of the order falls."""

    wavelength_um: Float[Array, "y x"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Wavemap":
        """Read and crop; zero and negative wavelengths, as some maps mark the dark, become NaN."""
        with fits.open(path, memmap=False) as hdus:
            data = base.read_plane(hdus, "SCI", meta, path)
        lit = np.isfinite(data) & (data > 0)
        return cls(np.where(lit, data, np.float32(np.nan)))

    @classmethod
    def parts(cls, meta: ExposureMeta) -> tuple[str, ...]:
        """REFTYPEs of the official optical references of the exposure's type, () where there is no model of it."""
        return MODELS[meta.exp_type].reftypes if meta.exp_type in MODELS else ()

    @classmethod
    def from_parts(cls, paths: Mapping[str, Path], meta: ExposureMeta) -> "Wavemap":
        """Evaluate the optical model."""
        return cls(np.float32(MODELS[meta.exp_type].light(paths, meta).wavelength_um))

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write a FITS image with a CRDS-style header (the official schema is one of oversampled SOSS maps)."""
        cards = meta.cards()
        header = fits.Header({"TELESCOP": "JWST", "REFTYPE": "WAVEMAP", "PEDIGREE": "SIMULATED", "AUTHOR": "uptheramp"})
        header.update({key: cards[key] for key in KEYS if key in cards})
        image = fits.ImageHDU(np.asarray(self.wavelength_um, np.float32), name="SCI")
        image.header["BUNIT"] = "um"
        with whole(path) as temporary:
            fits.HDUList([fits.PrimaryHDU(header=header), image]).writeto(temporary, overwrite=True)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Wavemap":
        """One micron everywhere: no pixel is marked dark."""
        return cls(np.ones(meta.shape, np.float32))
