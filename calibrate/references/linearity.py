"""LINEARITY: the polynomial that makes each pixel linear."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float, UInt32

from uptheramp.calibrate import flags
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base


class Linearity(eqx.Module):
    """Coefficients c_n of `true = sum c_n observed^n` (DN) and flags; pixels without them are identity, NO_LIN_CORR.

    `inverse`, where the file has them: coefficients of the observed level by the true one.
    """

    coeffs: Float[Array, "n y x"]
    dq: UInt32[Array, "y x"]
    inverse: Float[Array, "m y x"] | None = None

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Linearity":
        """Read, crop; identity where a coefficient is NaN, the linear one 0, or NO_LIN_CORR is set."""
        with fits.open(path, memmap=False) as hdus:
            coeffs = base.read_plane(hdus, "COEFFS", meta, path)
            dq = base.read_dq(hdus, meta, path)
            has_inverse = "INV_COEFFS" in hdus and hdus["INV_COEFFS"].data is not None
            inverse = base.read_plane(hdus, "INV_COEFFS", meta, path) if has_inverse else None
        unknown = (dq & flags.NO_LIN_CORR) != 0
        coeffs, bad = _tidy(coeffs, unknown)
        if inverse is not None:
            inverse, bad_inverse = _tidy(inverse, unknown)
            bad = bad | bad_inverse
        return cls(coeffs, dq | np.where(bad, flags.NO_LIN_CORR, 0).astype(np.uint32), inverse)

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        planes = {"coeffs": np.asarray(self.coeffs), "dq": np.asarray(self.dq)}
        if self.inverse is not None:
            planes["inv_coeffs"] = np.asarray(self.inverse)
        with datamodels.LinearityModel(**planes) as model:
            base.save(base.describe(model, meta, "LINEARITY"), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Linearity":
        """The identity."""
        coeffs = np.zeros((2, *meta.shape), np.float32)
        coeffs[1] = 1
        return cls(coeffs, np.zeros(meta.shape, np.uint32))


def _tidy(coeffs: np.ndarray, unknown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients with the identity where they are unknown or no polynomial, and where they are none."""
    bad = ~np.isfinite(coeffs).all(0) | (coeffs[1] == 0)
    identity = np.zeros(len(coeffs), np.float32)
    identity[1] = 1
    return np.where(bad | unknown, identity[:, None, None], coeffs), bad
