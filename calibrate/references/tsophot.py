"""TSOPHOT: radii of the aperture and of the background's annulus, by the element in the pupil wheel."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base
from uptheramp.calibrate.references.target import IN_FOCUS_PX

RADII = ("radius", "radius_inner", "radius_outer")


class Tsophot(eqx.Module):
    """Radii in pixels: of the aperture, and of the annulus inside and outside."""

    radius: Float[Array, ""]
    radius_inner: Float[Array, ""]
    radius_outer: Float[Array, ""]
    ending: ClassVar[str] = "asdf"

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Tsophot":
        """Read the entry of the exposure's pupil element, or that of ANY."""
        import asdf

        try:
            with asdf.open(path) as file:
                entries = [dict(entry) for entry in file.tree["radii"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: not a readable TSOPHOT file ({error}); it should be ASDF with `radii`"
            ) from error
        by_pupil = {str(entry.get("pupil", "ANY")).upper(): entry for entry in reversed(entries)}
        return cls(*_values(by_pupil.get(meta.pupil.upper() or "ANY", by_pupil.get("ANY")), path, meta))

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write the official format with one entry."""
        from stdatamodels.jwst import datamodels

        entry = {"pupil": meta.pupil or "ANY"} | {name: float(getattr(self, name)) for name in RADII}
        with datamodels.TsoPhotModel(radii=[entry]) as model:
            described = base.describe(model, meta, "tsophot", window=False)
            described.meta.exposure.type = meta.exp_type
            described.meta.visit.tsovisit = True
            base.save(described, path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Tsophot":
        """The official step's own radii."""
        return cls(*(np.float32(radius) for radius in IN_FOCUS_PX))


def _values(entry: Mapping[str, float] | None, path: Path, meta: ExposureMeta) -> list[np.float32]:
    if entry is None:
        raise InputError(f"{path}: no radii for pupil {meta.pupil or 'ANY'}; add an entry or use another file")
    try:
        return [np.float32(entry[name]) for name in RADII]
    except KeyError as error:
        raise InputError(f"{path}: the radii for pupil {meta.pupil or 'ANY'} lack {error}") from error
