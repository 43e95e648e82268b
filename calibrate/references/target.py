"""What the header and the instrument's table say of an imaged target: part of the library, but of no file."""

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.instruments.core import Image
from uptheramp.calibrate.io.meta import ExposureMeta

ARCSEC_PER_RAD = 206264.806
IN_FOCUS_PX = (3.0, 4.0, 5.0)  # radii of circle and annulus: defaults of the official step
BEYOND_RING_PX = (5.0, 8.0, 20.0)  # behind a weak lens: beyond the radius of the ring, whose hole those would measure


def around_ring_px(image: Image) -> tuple[float, ...]:
    """Radii of a circle and an annulus for an image behind a weak lens."""
    return tuple(round(image.defocus_diameter_px / 2) + beyond for beyond in BEYOND_RING_PX)


class Target(eqx.Module):
    """Where the target should fall (0-based pixels of the window), in which band, and what turns rates into flux.

    `band_um` are the ends of the filter's band and `wavelength_um` its middle, weighted by throughput; NaN where no
    table has the filter.
    """

    x_px: Float[Array, ""]
    y_px: Float[Array, ""]
    wavelength_um: Float[Array, ""]
    band_um: Float[Array, "2"]
    pixel_sr: Float[Array, ""]
    integration_s: Float[Array, ""]  # from the reset to the last read: electrons are rates times this
    radii_px: Float[Array, "3"]  # of circle and annulus, where neither the user nor a TSOPHOT file gives them

    @classmethod
    def from_meta(cls, meta: ExposureMeta) -> "Target":
        """Take XREF_SCI, YREF_SCI and PIXAR_SR (the table's pixel where that is missing) from the header's record.

        Raises
        ------
        InputError
            If the header does not say where the target falls.
        """
        where = meta.geometry
        if where is None or where.x_ref is None or where.y_ref is None:
            raise InputError("the header lacks XREF_SCI, YREF_SCI: where is the target? add them (1-based pixels)")
        instrument, mode, _ = lookup.match(meta)
        scale_x, scale_y = lookup.detector(instrument, meta.detector).pixel_scale_arcsec
        area = where.pixel_area_sr or scale_x * scale_y / ARCSEC_PER_RAD**2
        integration_s = (meta.ngroups - 1) * meta.group_time_s + meta.nframes * meta.frame_time_s
        middle, band = np.nan, (np.nan, np.nan)
        radii: tuple[float, ...] = IN_FOCUS_PX
        if mode is not None and mode.image is not None:
            curve = mode.image.throughput
            wavelength = np.linspace(curve.x[0], curve.x[-1], 1000)
            middle, band = np.average(wavelength, weights=np.interp(wavelength, curve.x, curve.y)), mode.useful_range_um
            if mode.image.defocus_diameter_px:
                radii = around_ring_px(mode.image)
        values = (where.x_ref - 1, where.y_ref - 1, middle, band, area, integration_s, radii)
        return cls(*(np.asarray(value, np.float64) for value in values))

    @property
    def pixel(self) -> tuple[int, int]:
        """Row and column of the pixel on which the target falls."""
        return round(float(self.y_px)), round(float(self.x_px))
