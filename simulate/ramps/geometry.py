"""Where a simulated exposure points, as its headers say it.

The sky of the simulator is bare: the target stands at one fixed place, V2 and V3 are counted from it and run along x
and y of the detector. The optical references of `calibration/` are built on the same convention, so that the official
pipeline's coordinates are consistent; they are not those of the real field of view.
"""

from typing import Any

import numpy as np

from uptheramp.calibrate.io.geometry import Geometry
from uptheramp.calibrate.references.slits import SLITS

TARGET_DEG = (180.0, 0.0)  # anywhere away from the seams of the coordinates
PRISM_K = 37.0  # of the grating wheel, where the prism's glass is tabulated
# how the wheels stand, by exposure type; the tilt sensors read zero
WHEELS: dict[str, dict[str, Any]] = {
    "NRS_BRIGHTOBJ": {"grating_wheel_k": PRISM_K, "grating_wheel_x": 0.0, "grating_wheel_y": 0.0},
    "NIS_SOSS": {"pupil_wheel_deg": 245.76},
}


def reference_px(mode: Any) -> tuple[float, float]:
    """Pixel (x, y), 0-based in the window, of the reference point: the star without disperser, or mid-trace."""
    if mode.field_point_px is not None:
        return mode.field_point_px
    if mode.image is not None:
        return mode.image.centre_px
    trace = mode.orders[0].trace_px
    along = (trace.x[0] + trace.x[-1]) / 2
    across = float(np.interp(along, trace.x, trace.y))
    return (along, across) if mode.dispersion_axis == 1 else (across, along)


def geometry(observation: Any) -> Geometry:
    """Return the record for the headers of an observation."""
    mode = observation.mode
    x, y = reference_px(mode)
    return Geometry(
        target_ra_deg=TARGET_DEG[0],
        target_dec_deg=TARGET_DEG[1],
        aperture=f"{observation.detector.name}_{observation.subarray.name}",
        x_offset_arcsec=0.0,
        y_offset_arcsec=0.0,
        slit=SLITS.get(mode.exp_type),
        ra_ref_deg=TARGET_DEG[0],
        dec_ref_deg=TARGET_DEG[1],
        roll_ref_deg=0.0,
        v2_ref_arcsec=0.0,
        v3_ref_arcsec=0.0,
        v_parity=1,
        v3_ideal_angle_deg=0.0,
        x_ref=x + 1,
        y_ref=y + 1,
        va_scale=1.0,
        **WHEELS.get(mode.exp_type, {}),
    )
