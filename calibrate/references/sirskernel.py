"""SIRSKERNEL: Fourier coefficients by which side reference pixels tell the drift of full near-infrared frames."""

from pathlib import Path

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base


class Sirskernel(eqx.Module):
    """Coefficients by output and frequency (real, imaginary) for the left and the right side, as the detector reads.

    No outputs where the file has none for the detector.
    """

    left: Float[Array, "output frequency part"]
    right: Float[Array, "output frequency part"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Sirskernel":
        """Read what the file has for the exposure's detector.

        Raises
        ------
        InputError
            If it is no ASDF file.
        """
        tree = base.asdf_tree(path)
        mine = tree.get(meta.detector.lower(), {"gamma": np.zeros((0, 2)), "zeta": np.zeros((0, 2))})
        return cls(*(_parts(np.asarray(mine[name])) for name in ("gamma", "zeta")))


def _parts(coefficients: np.ndarray) -> Float[np.ndarray, "output frequency part"]:
    return np.stack([coefficients.real, coefficients.imag], -1).astype(np.float64)
