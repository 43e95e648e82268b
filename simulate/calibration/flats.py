"""NIRSpec's flats: the official pipeline multiplies those of the fore optics, the spectrograph and the detector.

The simulated light has one response by pixel and no other: the detector's flat holds it, those of fore optics and
spectrograph are one at every wavelength (the spectrograph's image would be one everywhere and is left out, as N/A).
"""

import numpy as np

from uptheramp.calibrate.references.carried import Carried
from uptheramp.calibrate.references.flat import Flat
from uptheramp.simulate.observation import Observation

EVERYWHERE_UM = (0.1, 10.0)


def _fast(value: float = 1.0) -> np.ndarray:
    """Table of the part that varies fast with wavelength: constant."""
    n = len(EVERYWHERE_UM)
    vectors = [(name, "f4", (n,)) for name in ("wavelength", "data", "error")]
    row = ("ANY", n, EVERYWHERE_UM, np.full(n, value), np.zeros(n))
    return np.array([row], dtype=[("slit_name", "S15"), ("nelem", "i4"), *vectors])


def fore_optics(_: Observation) -> Carried:
    """FFLAT: one at every wavelength."""
    return Carried("NirspecFlatModel", {"flat_table": _fast()}, ending="fits")


def detector(observation: Observation, flat: Flat) -> Carried:
    """DFLAT: the flat of the window in the frame of the whole detector, one plane for all wavelengths."""
    x, y = np.subtract(observation.subarray.start, 1)
    rows, columns = slice(y, y + observation.shape[0]), slice(x, x + observation.shape[1])

    def full(window: np.ndarray, outside: float, dtype: type) -> np.ndarray:
        image = np.full((1, *observation.detector.shape), outside, dtype)
        image[0, rows, columns] = window
        return image

    content = {
        "data": full(np.asarray(flat.data), 1, np.float32),
        "err": full(np.asarray(flat.err), 0, np.float32),
        "dq": full(np.asarray(flat.dq), 0, np.uint32),
        "wavelength": np.array([(np.mean(EVERYWHERE_UM),)], dtype=[("wavelength", "f4")]),
        "flat_table": _fast(),
    }
    return Carried("NirspecFlatModel", content, ending="fits")
