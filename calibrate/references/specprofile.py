"""SPECPROFILE: how the light of each order of SOSS lies across the dispersion."""

from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base

WHOLE = "WHOLEPROF"  # extension, ours alone


class Specprofile(eqx.Module):
    """Share of a column's light of an order that falls on each pixel; 0 where it is not known or there is none.

    The official extraction cannot take the wide wings of a profile: it counts every pixel that gets 1e-4 of order 2 as
    spoilt. `narrow` marks the pixels that it is given, with unit sum in a column; the whole profile stands beside them
    in our files. Files of others have the one profile, whole or not.
    """

    profile: Float[np.ndarray | Array, "order y x"]
    order: tuple[int, ...] = eqx.field(static=True)
    narrow: Bool[np.ndarray | Array, "order y x"] | None = None

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Specprofile":
        """Read one image per order, without its padding, summed to pixels where it is oversampled, and crop."""
        with fits.open(path, memmap=False) as hdus:
            images = [hdu for hdu in hdus if hdu.name == "ORDER" and hdu.data is not None]
            if not images:
                raise InputError(f"{path}: no extension ORDER; it is not a SPECPROFILE reference file")
            images.sort(key=_number)
            planes = [_native(hdu) for hdu in images]
            cuts = [base.window(hdus[0].header, plane.shape, meta, path) for plane in planes]
            official = _light(np.stack([plane[cut] for plane, cut in zip(planes, cuts, strict=True)]))
            whole = _light(base.read_plane(hdus, WHOLE, meta, path)) if WHOLE in hdus else official
        narrow = official > 0 if whole is not official else None
        return cls(whole, tuple(_number(hdu) for hdu in images), narrow)

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format, neither padded nor oversampled."""
        from stdatamodels.jwst import datamodels

        whole = np.asarray(self.profile, np.float32)
        official = whole
        if self.narrow is not None:
            official = np.where(np.asarray(self.narrow), whole, 0)
            total = official.sum(1, keepdims=True)
            official = official / np.where(total > 0, total, 1)
        images = [
            {"order": number, "oversampling": 1, "padding": 0, "data": image.astype(np.float32)}
            for number, image in zip(self.order, official, strict=True)
        ]
        with datamodels.SpecProfileModel() as model:
            base.describe(model, meta, "SPECPROFILE")
            model.profile = images
            if self.narrow is not None:
                model.extra_fits = {WHOLE: {"data": whole}}
            base.save(model, path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Specprofile":
        """One order that lights every pixel of a column alike."""
        return cls(np.full((1, *meta.shape), 1 / meta.y_size, np.float32), (1,))


def _number(hdu: Any) -> int:
    return int(hdu.header.get("ORDER", hdu.ver))


def _light(image: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.where(np.isfinite(image) & (image > 0), image, 0).astype(np.float32)


def _native(hdu: fits.ImageHDU) -> Float[np.ndarray, "y x"]:
    """Remove the padding (in native pixels) and bin: shares of a column add up, neighbouring columns are averaged."""
    sampling, padding = int(hdu.header.get("OVERSAMP", 1)), int(hdu.header.get("PADDING", 0))
    edge = sampling * padding
    image = np.asarray(hdu.data, float)
    image = image[edge : image.shape[0] - edge, edge : image.shape[1] - edge]
    y, x = (n // sampling for n in image.shape)
    return image.reshape(y, sampling, x, sampling).sum(1).mean(-1)
