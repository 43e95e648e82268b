"""Where in its slit a point source stands: telescope coordinates back through OTE and FORE to the slits' plane."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references.optics import trees
from uptheramp.calibrate.references.optics.light import needed
from uptheramp.calibrate.references.optics.slit import the_slit

ANY_UM = 2.0  # at which the official extract_2d looks: the slits are in focus at every wavelength


def place(paths: Mapping[str, Path], meta: ExposureMeta) -> tuple[float, float]:
    """Across and along the slit, fractions of its size from its middle, as jwst 3.0.0 extract_2d get_source_xpos.

    From XOFFSET and YOFFSET, the target's offset from the aperture's reference point; the middle where the header has
    none, and of extended sources.
    """
    geometry = meta.geometry
    if geometry is None or geometry.x_offset_arcsec is None or geometry.y_offset_arcsec is None:
        return 0.0, 0.0
    if not meta.point_source:
        return 0.0, 0.0
    angle = np.deg2rad(needed(meta, "v3_ideal_angle_deg", "V3I_YANG"))
    x, y = needed(meta, "v_parity", "VPARITY") * geometry.x_offset_arcsec, geometry.y_offset_arcsec
    v2 = needed(meta, "v2_ref_arcsec", "V2_REF") + x * np.cos(angle) + y * np.sin(angle)
    v3 = needed(meta, "v3_ref_arcsec", "V3_REF") - x * np.sin(angle) + y * np.cos(angle)
    (telescope,), (fore_optics,) = (trees.read(paths[name], "model") for name in ("ote", "fore"))
    plane = fore_optics.inverse(*telescope.inverse(v2, v3), ANY_UM * 1e-6)
    across, along = the_slit(paths["msa"], meta).place(*plane)
    return float(across), float(along)
