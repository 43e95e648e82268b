"""WAVECORR: what the wavelengths behind a slit are off by, because a point source does not fill its width."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references.optics import slit, source, trees


class Wavecorr(eqx.Module):
    """Correction to add (micron) at each wavelength (micron, rising); the ends go on in straight lines."""

    wavelength_um: Float[np.ndarray | Array, "knot"]
    correction_um: Float[np.ndarray | Array, "knot"]

    @classmethod
    def parts(cls, meta: ExposureMeta) -> tuple[str, ...]:
        """REFTYPEs: its own, where the source stands in the slit, and the dispersion."""
        return ("wavecorr", *slit.REFTYPES) if meta.exp_type in slit.EXP_TYPES else ()

    @classmethod
    def from_parts(cls, paths: Mapping[str, Path], meta: ExposureMeta) -> "Wavecorr":
        """Evaluate jwst 3.0.0 wavecorr: the offset of the file (pixels) times the dispersion, by detector column.

        Neutral for extended sources, where the file lacks the slit, or where the corrected wavelengths would not rise:
        so does the official.
        """
        offset = _offset(paths["wavecorr"], slit.name(meta)) if meta.point_source else None
        if offset is None:
            return cls.neutral(meta)
        cut = slit.box(paths, meta)
        x, y = cut.pixels()
        here, left, right = (cut.wavelength_um(x + by, y) for by in (0.0, -0.5, 0.5))
        lit = np.isfinite(here).any(0) & np.isfinite(right - left).any(0)
        wavelength, dispersion = (np.nanmean(image[:, lit], 0) for image in (here, right - left))
        across, _ = source.place(paths, meta)
        correction = offset(wavelength * 1e-6, np.full(wavelength.shape, across)) * dispersion
        if not (np.diff(wavelength + correction) > 0).all():
            return cls.neutral(meta)
        return cls(wavelength, correction)

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Wavecorr":
        """Refuse: the file alone does not say how far the source is from the middle of its slit."""
        others = ", ".join(name for name in cls.parts(meta) if name != "wavecorr")
        raise InputError(f"{path}: wavecorr needs {others or 'a slit'} too; add them, or set wavecorr.skip=true")

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Wavecorr":
        """No correction."""
        return cls(np.array([1.0, 2.0]), np.zeros(2))


def _offset(path: Path, aperture: str) -> Any | None:
    """Offset (pixels) as a function of wavelength (m) and place across the slit, extrapolated in straight lines."""
    (apertures,) = trees.read(path, "apertures")
    for entry in apertures:
        if entry["aperture_name"] == aperture:
            model = entry["zero_point_offset"].copy()
            model.bounds_error, model.fill_value = False, None
            return model
    return None
