"""From the sky to the telescope's coordinates: the pointing that a header tells."""

import numpy as np

from uptheramp.calibrate.io.geometry import Geometry

ARCSEC = np.pi / 180 / 3600
UNITS = np.array([1, 1, 1, 3600, 3600, 1, 1])  # degrees or seconds of arc
POINTING = ("ra_ref_deg", "dec_ref_deg", "roll_ref_deg", "v2_ref_arcsec", "v3_ref_arcsec")


def known(geometry: Geometry | None) -> bool:
    """Whether the header tells the pointing and the target's place on the sky."""
    names = (*POINTING, "target_ra_deg", "target_dec_deg")
    return geometry is not None and all(getattr(geometry, name) is not None for name in names)


def target_v2v3(geometry: Geometry) -> tuple[float, float]:
    """V2 and V3 (arcsec) of the target, as jwst 3.0.0 assign_wcs has them (pointing.v23tosky, dva_corr_model).

    The reference point is at RA_REF and DEC_REF, V3 is ROLL_REF east of north there, and aberration has stretched
    distances from it by VA_SCALE.
    """
    places = (*(float(getattr(geometry, name)) for name in POINTING), geometry.target_ra_deg, geometry.target_dec_deg)
    ra, dec, roll, v2_ref, v3_ref, *target = np.deg2rad(np.asarray(places, float) / UNITS)
    to_sky = _about("z", ra) @ _about("y", -dec) @ _about("x", -roll) @ _about("y", v3_ref) @ _about("z", -v2_ref)
    x, y, z = to_sky.T @ _direction(*target)
    stretch = geometry.va_scale or 1.0
    seen = np.arctan2(y, x), np.arcsin(z)
    v2, v3 = ((ref + (at - ref) / stretch) / ARCSEC for at, ref in zip(seen, (v2_ref, v3_ref), strict=True))
    return float(v2), float(v3)


def _direction(longitude: float, latitude: float) -> np.ndarray:
    return np.array([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)])


def _about(axis: str, angle: float) -> np.ndarray:
    """Turn vectors right-handed about an axis."""
    cos, sin = np.cos(angle), np.sin(angle)
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[first, first], matrix[first, second] = cos, -sin
    matrix[second, first], matrix[second, second] = sin, cos
    return matrix
