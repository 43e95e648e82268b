"""A user's mask of the background, for clean_flicker_noise: no reference of an instrument but of one exposure."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Bool

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta


class UserMask(eqx.Module):
    """Pixels that show the background alone: one plane for the exposure, or one for each integration."""

    data: Bool[Array, "plane y x"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "UserMask":
        """Read SCI: not 0 is background.

        Raises
        ------
        InputError
            If there is no such image, or it is not of the exposure's shape.
        """
        try:
            with fits.open(path, memmap=False) as hdus:
                data = np.asarray(hdus["SCI"].data) != 0
        except (OSError, KeyError) as error:
            raise InputError(f"{path}: not a readable mask ({error}); give a FITS file with the mask in SCI") from None
        data = data if data.ndim == 3 else data[None]
        if data.shape[-2:] != meta.shape or len(data) not in (1, meta.nints):
            raise InputError(
                f"{path}: a mask of {data.shape} (integration, y, x) does not fit {meta.nints} integrations of "
                f"{meta.shape}; give one plane or one for each integration"
            )
        return cls(data)
