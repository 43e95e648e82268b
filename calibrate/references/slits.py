"""The fixed slits of NIRSpec, by the names of headers and references."""

from uptheramp.calibrate.io.meta import ExposureMeta

SLITS = {"NRS_BRIGHTOBJ": "S1600A1"}  # of exposure types that know only one
NUMBERS = {"S200A1": 0, "S200A2": 1, "S400A1": 2, "S1600A1": 3, "S200B1": 4}  # rows of the table in MSA


def of_target(meta: ExposureMeta) -> str:
    """The slit in which the target stands; "" where there is none, or the header does not name it."""
    name = SLITS.get(meta.exp_type) or getattr(meta.geometry, "slit", None)
    return name if name in NUMBERS else ""
