"""References of an image plane: DISTORTION, FILTEROFFSET, and the PHOTOM of imaging modes."""

import numpy as np

from uptheramp.calibrate.references.carried import Carried
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps.geometry import reference_px


def distortion(observation: Observation) -> Carried:
    """Detector pixel (0-based, full frame) to V2, V3: plain scales about the reference point, see ramps/geometry.py."""
    import astropy.units as u
    from astropy.modeling.models import Scale, Shift

    o = observation
    x, y = np.add(reference_px(o.mode), o.subarray.start) - 1
    scale_x, scale_y = o.detector.pixel_scale_arcsec
    model = Shift(-x) & Shift(-y) | Scale(scale_x) & Scale(scale_y)
    pupils = {"meta.instrument.p_pupil": f"{o.mode.pupil}|"} if o.mode.pupil else {}
    return Carried("DistortionModel", {"model": model, "input_units": u.pix, "output_units": u.arcsec}, pupils)


def filteroffset(observation: Observation) -> Carried:
    """No displacement: the reference point is where the star falls through this filter."""
    row = {"filter": observation.mode.filter, "row_offset": 0.0, "column_offset": 0.0}
    if observation.mode.pupil:
        row["pupil"] = observation.mode.pupil
    return Carried("FilteroffsetModel", {}, {"filters": [row]})
