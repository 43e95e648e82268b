"""NIRSpec's flats: both pipelines multiply those of the fore optics, the spectrograph and the detector.

The simulated light has one response by pixel and no other: the detector's flat holds it, that of the fore optics is one
at every wavelength (the spectrograph's would be one everywhere and is left out, as N/A).
"""

import numpy as np

from uptheramp.calibrate.references.flat import Flat
from uptheramp.calibrate.references.nirspec_flat import NirspecFlat
from uptheramp.simulate.observation import Observation


def fore_optics(observation: Observation) -> NirspecFlat:
    """FFLAT: one at every wavelength."""
    return NirspecFlat.neutral(observation.meta)


def detector(flat: Flat) -> NirspecFlat:
    """DFLAT: the flat of the window, one image for all wavelengths."""
    data, err, dq = (np.asarray(plane)[None] for plane in (flat.data, flat.err, flat.dq))
    return NirspecFlat.plain(data, err, dq, "DFLAT")
