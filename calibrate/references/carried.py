"""References that our steps do not hold as they are, carried to their file as the official data models want them.

Optical models (SPECWCS, FPA, CAMERA, DISPERSER, ...) become the wavelengths of pixels when they are read
(`references/optics/`); DISTORTION, AREA and others are read by the official pipeline alone. One class
serves them all; what each holds is said where it is made, in simulate/calibration/.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

from uptheramp.calibrate.io.atomic import whole
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base

INLINE = {"all_array_storage": "inline"}


@dataclass(frozen=True)
class Carried:
    """A reference as keyword arguments and attributes of an official data model, or as a plain ASDF tree.

    Parameters
    ----------
    model
        Class of `stdatamodels.jwst.datamodels`; empty for an ASDF tree that no model describes.
    content
        Arguments of the class, or the tree.
    attributes
        Dotted attribute -> value, set after the usual metadata.
    ending
        `fits` or `asdf`.
    window
        Whether the file gives the subarray that it covers; False for those that serve every window.
    inline
        Write the arrays of an ASDF file as text: the official pipeline closes some files before it evaluates their
        models' tables.
    """

    model: str
    content: Mapping[Any, Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    ending: str = "asdf"
    window: bool = False
    inline: bool = False

    def to_file(self, path: Path, meta: ExposureMeta, reftype: str) -> None:
        """Write in CRDS format."""
        if not self.model:
            self._plain(path, meta, reftype)
            return
        from stdatamodels.jwst import datamodels

        with getattr(datamodels, self.model)(**self.content) as model:
            # the models of ASDF files know their type in lower case
            base.describe(model, meta, reftype.lower() if self.ending == "asdf" else reftype, window=self.window)
            for name, value in self.attributes.items():
                *parents, last = name.split(".")
                setattr(reduce(getattr, parents, model), last, value)
            base.save(model, path, **(INLINE if self.inline else {}))

    def _plain(self, path: Path, meta: ExposureMeta, reftype: str) -> None:
        import asdf

        described = {
            "telescope": "JWST",
            "reftype": reftype.lower(),
            "instrument": {"name": meta.instrument, "detector": meta.detector},
            "exposure": {"type": meta.exp_type},
            "author": "uptheramp",
            "pedigree": "SIMULATED",
            "useafter": "2022-01-01T00:00:00",
        }
        with whole(path) as temporary:
            asdf.AsdfFile({"meta": described, **self.content}).write_to(temporary)
