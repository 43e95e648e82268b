"""Which optical model serves an exposure type, and which references it is made from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references.optics import grism, rows, slit
from uptheramp.calibrate.references.optics.light import Light


class Model(NamedTuple):
    """REFTYPEs, and the function of their files and the exposure that says where the light falls."""

    reftypes: tuple[str, ...]
    light: Callable[[Mapping[str, Path], ExposureMeta], Light]


MODELS = {
    **dict.fromkeys(slit.EXP_TYPES, Model(slit.REFTYPES, slit.light)),
    "NRC_TSGRISM": Model(grism.REFTYPES, grism.light),
    "MIR_LRS-SLITLESS": Model(rows.REFTYPES, rows.slitless),
    "MIR_LRS-FIXEDSLIT": Model(rows.REFTYPES, rows.slit),
}
