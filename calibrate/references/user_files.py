"""Files that a user gives for one exposure among the parameters of a step: no references of an instrument."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Bool, UInt32

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta


class UserMask(eqx.Module):
    """Pixels that show the background alone: one plane for the exposure, or one for each integration."""

    data: Bool[Array, "plane y x"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "UserMask":
        """Read the first image of a FITS file: not 0 is background.

        Raises
        ------
        InputError
            If there is no such image, or it does not fit the exposure.
        """
        data = _image(path) != 0
        data = data if data.ndim == 3 else data[None]
        if data.shape[-2:] != meta.shape or len(data) not in (1, meta.nints):
            raise InputError(
                f"{path}: a mask of {data.shape} (integration, y, x) does not fit {meta.nints} integrations of "
                f"{meta.shape}; give one plane or one for each integration"
            )
        return cls(data)


class UserDq(eqx.Module):
    """Flags by pixel, in official bits."""

    data: UInt32[Array, "y x"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "UserDq":
        """Read the first image of a FITS file.

        Raises
        ------
        InputError
            If there is no such image, or it does not fit the exposure.
        """
        data = _image(path)
        if data.shape != meta.shape:
            raise InputError(f"{path}: flags of {data.shape} do not fit the exposure's {meta.shape} (y, x) pixels")
        return cls(np.ascontiguousarray(data).astype(np.uint32))


# (step, parameter) that names a file -> key of the library, and what reads it
FILES: dict[tuple[str, str], tuple[str, type]] = {
    ("clean_flicker_noise", "user_mask"): ("user_mask", UserMask),
    ("dq_init", "user_supplied_dq"): ("user_dq", UserDq),
}


def given(params: Mapping[str, Any], meta: ExposureMeta) -> dict[str, Any]:
    """What the parameters of the steps name, by its key in the library of references."""
    named = {(step, name): getattr(params.get(step), name, "") for step, name in FILES}
    return {FILES[where][0]: FILES[where][1].from_file(Path(path), meta) for where, path in named.items() if path}


def _image(path: Path) -> np.ndarray:
    try:
        return np.asarray(fits.getdata(path))
    except (OSError, IndexError) as error:
        raise InputError(f"{path}: not a readable FITS image ({error}); give another file") from None
