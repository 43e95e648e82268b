"""Traps as a calibration programme would know them, in the terms of the official reference files."""

from typing import Any

import numpy as np

from uptheramp.calibrate.references.persat import PerSat
from uptheramp.calibrate.references.trapdensity import TrapDensity
from uptheramp.calibrate.references.trappars import FAMILIES, TrapPars
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps.render import Constants

FRACTION_ERROR = 0.1  # of what a family takes; assumed: trap parameters are fitted to few latent images
PIXEL_ERROR = 0.1  # of the density of a pixel


def make(observation: Observation, constants: Constants, rng: np.random.Generator | None) -> dict[str, Any]:
    """TRAPPARS, TRAPDENSITY and PERSAT; exact without a generator of the programme's errors.

    What a family takes is given in DN for a pixel of the typical gain: the density holds the rest.
    """
    traps = constants.own["persistence"]
    full_dn = np.asarray(traps.well_e / constants.maps.gain, float)
    typical = float(np.median(full_dn))
    taken, density = np.asarray(traps.fraction, float) * typical, np.asarray(traps.pixel, float) * full_dn / typical
    if rng is not None:
        taken = taken * (1 + FRACTION_ERROR * rng.standard_normal(taken.shape))
        density = density * (1 + PIXEL_ERROR * rng.standard_normal(density.shape))
    rates = -1 / np.asarray(traps.time_s, float)
    missing = FAMILIES - len(taken)
    taken, rates = np.pad(taken, (0, missing)), np.pad(rates, (0, missing), constant_values=-1.0)
    return {
        "trappars": TrapPars(taken, rates, np.zeros(FAMILIES), rates),
        "trapdensity": TrapDensity(density.astype(np.float32)),
        "persat": PerSat(full_dn.astype(np.float32)),
    }
