"""AREA of NIRSpec: the solid angle of a pixel behind each of the fixed slits."""

from pathlib import Path

from astropy.io import fits

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references.slits import of_target

ARCSEC2_PER_SR = 4.254517e10


def pixel_sr(path: Path, meta: ExposureMeta) -> float:
    """Solid angle (sr) of a pixel behind the target's slit.

    Raises
    ------
    InputError
        If the file has no table of areas, or none of the slit.
    """
    name = of_target(meta)
    with fits.open(path, memmap=False) as hdus:
        if "AREA" not in hdus or not {"slit_id", "pixarea"} <= {n.lower() for n in hdus["AREA"].columns.names}:
            raise InputError(f"{path}: no table AREA with slit_id and pixarea; it is not an AREA file of fixed slits")
        areas = {row["slit_id"].strip(): float(row["pixarea"]) for row in reversed(hdus["AREA"].data)}
    if name not in areas:
        raise InputError(f"{path}: no area for slit {name or '(none)'}; it has {', '.join(sorted(areas))}")
    return areas[name] / ARCSEC2_PER_SR
