"""Where the telescope looked and how its wheels stood: header keywords that the optical models are evaluated with.

Optical references are evaluated with some of them. All pass from the exposure to its products, so that the official
pipeline can place wavelengths and sky coordinates on either. Names are those of the stdatamodels core schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from astropy.io.fits.card import Undefined

# field -> (keyword, extension that holds it)
KEYWORDS = {
    "target_ra_deg": ("TARG_RA", "PRIMARY"),
    "target_dec_deg": ("TARG_DEC", "PRIMARY"),
    "aperture": ("APERNAME", "PRIMARY"),
    "x_offset_arcsec": ("XOFFSET", "PRIMARY"),
    "y_offset_arcsec": ("YOFFSET", "PRIMARY"),
    "slit": ("FXD_SLIT", "PRIMARY"),
    "grating_wheel_k": ("GWA_TILT", "PRIMARY"),
    "grating_wheel_x": ("GWA_XTIL", "PRIMARY"),
    "grating_wheel_y": ("GWA_YTIL", "PRIMARY"),
    "pupil_wheel_deg": ("PWCPOS", "PRIMARY"),
    "ra_ref_deg": ("RA_REF", "SCI"),
    "dec_ref_deg": ("DEC_REF", "SCI"),
    "roll_ref_deg": ("ROLL_REF", "SCI"),
    "v2_ref_arcsec": ("V2_REF", "SCI"),
    "v3_ref_arcsec": ("V3_REF", "SCI"),
    "v_parity": ("VPARITY", "SCI"),
    "v3_ideal_angle_deg": ("V3I_YANG", "SCI"),
    "x_ref": ("XREF_SCI", "SCI"),
    "y_ref": ("YREF_SCI", "SCI"),
    "va_scale": ("VA_SCALE", "SCI"),
    "velocity_m_s": ("VELOSYS", "SCI"),
    "pixel_area_sr": ("PIXAR_SR", "SCI"),
    "pixel_area_arcsec2": ("PIXAR_A2", "SCI"),
}


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Pointing and wheels of one exposure; what does not apply to its instrument is None."""

    target_ra_deg: float | None = None
    target_dec_deg: float | None = None
    aperture: str | None = None
    x_offset_arcsec: float | None = None  # of the target from the aperture's reference point
    y_offset_arcsec: float | None = None
    slit: str | None = None
    grating_wheel_k: float | None = None
    grating_wheel_x: float | None = None  # tilt sensors, in their own unit
    grating_wheel_y: float | None = None
    pupil_wheel_deg: float | None = None
    ra_ref_deg: float | None = None  # sky position and roll at the reference point
    dec_ref_deg: float | None = None
    roll_ref_deg: float | None = None
    v2_ref_arcsec: float | None = None
    v3_ref_arcsec: float | None = None
    v_parity: int | None = None
    v3_ideal_angle_deg: float | None = None
    x_ref: float | None = None  # pixel of the reference point in the window, 1-based
    y_ref: float | None = None
    va_scale: float | None = None
    velocity_m_s: float | None = None  # of the observatory, along the line of sight, from the barycentre
    pixel_area_sr: float | None = None  # of the photometric calibration; told by photom
    pixel_area_arcsec2: float | None = None

    def cards(self, extension: str) -> dict[str, Any]:
        """Keywords and values that belong into PRIMARY or SCI; what is not known is left out."""
        pairs = ((KEYWORDS[f.name], getattr(self, f.name)) for f in fields(self))
        return {key: value for (key, place), value in pairs if place == extension and value is not None}


def from_headers(headers: Mapping[str, Any]) -> Geometry | None:
    """Read the record from the headers by extension name; None where they say nothing of it."""
    found = {name: headers[place].get(key) for name, (key, place) in KEYWORDS.items()}
    values = {name: None if isinstance(value, Undefined) else value for name, value in found.items()}
    return Geometry(**values) if any(value is not None for value in values.values()) else None
