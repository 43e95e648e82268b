"""References of an image plane: DISTORTION, FILTEROFFSET, and the PHOTOM and TSOPHOT of imaging modes."""

from typing import Any

import numpy as np

from uptheramp.calibrate.references.carried import Carried
from uptheramp.calibrate.references.photom import ARCSEC2_PER_SR
from uptheramp.calibrate.references.photom_image import PhotomImage
from uptheramp.calibrate.references.target import around_ring_px
from uptheramp.calibrate.references.tsophot import Tsophot
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics.imaged import PointSource
from uptheramp.simulate.ramps.geometry import reference_px
from uptheramp.simulate.scene import star

IN_FOCUS_FWHM = (2.0, 3.0, 6.0)  # radii of circle and annulus in widths of the image


def planar(along_x: Any, along_y: Any) -> Any:
    """Join two astropy models into one of both coordinates."""
    return along_x & along_y


def distortion(observation: Observation) -> Carried:
    """Detector pixel (0-based, full frame) to V2, V3: plain scales about the reference point, see ramps/geometry.py."""
    import astropy.units as u
    from astropy.modeling.models import Scale, Shift

    o = observation
    x, y = np.add(reference_px(o.mode), o.subarray.start) - 1
    scale_x, scale_y = o.detector.pixel_scale_arcsec
    model = planar(Shift(-x), Shift(-y)) | planar(Scale(scale_x), Scale(scale_y))
    pupils = {"meta.instrument.p_pupil": f"{o.mode.pupil}|"} if o.mode.pupil else {}
    return Carried("DistortionModel", {"model": model, "input_units": u.pix, "output_units": u.arcsec}, pupils)


def filteroffset(observation: Observation) -> Carried:
    """No displacement: the reference point is where the star falls through this filter."""
    row = {"filter": observation.mode.filter, "row_offset": 0.0, "column_offset": 0.0}
    if observation.mode.pupil:
        row["pupil"] = observation.mode.pupil
    return Carried("FilteroffsetModel", {}, {"filters": [row]})


def photom(observation: Observation, source: PointSource, gain_e_per_dn: float) -> PhotomImage:
    """MJy/sr per DN/s: flux of the star in the band over the count rate of its whole image and the area of a pixel.

    The flux of a band is that of a flat spectrum with as many photons: int f(lambda) T dlambda / lambda over
    int T dlambda / lambda, T the throughput.
    """
    o = observation
    assert o.mode.image is not None
    lam = np.asarray(source.wavelength_um)
    weight = np.interp(lam, o.mode.image.throughput.x, o.mode.image.throughput.y) * np.gradient(lam) / lam
    flux_mjy = np.sum(star.flux_jy(o.star, lam) * weight) / weight.sum() * 1e-6
    rate = float(np.sum(source.response(source.photons))) / gain_e_per_dn
    scale_x, scale_y = o.detector.pixel_scale_arcsec
    area_sr = scale_x * scale_y / ARCSEC2_PER_SR
    return PhotomImage(np.float32(flux_mjy / rate / area_sr), area_sr)


def tsophot(observation: Observation) -> Tsophot:
    """Radii by the size of the image."""
    image = observation.mode.image
    assert image is not None
    focused = [np.ceil(widths * image.fwhm_px) for widths in IN_FOCUS_FWHM]
    radii = around_ring_px(image) if image.defocus_diameter_px else focused
    return Tsophot(*(np.float32(radius) for radius in radii))
