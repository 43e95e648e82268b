"""Which references beyond ours the official Stages 2 and 3 demand, by exposure type, and who makes them."""

from collections.abc import Callable, Mapping

from uptheramp.calibrate.references.carried import Carried
from uptheramp.calibrate.references.nirspec_flat import NirspecFlat
from uptheramp.calibrate.references.pastasoss import Pastasoss
from uptheramp.simulate.calibration import dispersion, flats, imager, slit_spectrograph, soss_extraction
from uptheramp.simulate.observation import Observation

PLANE = {"distortion": imager.distortion, "filteroffset": imager.filteroffset}
# REFTYPE -> maker, from the observation as the calibration believes it
DEMANDED: dict[str, Mapping[str, Callable[[Observation], Carried | NirspecFlat | Pastasoss]]] = {
    "NIS_SOSS": {
        "specwcs": dispersion.soss_specwcs,
        "pastasoss": soss_extraction.pastasoss,
    },
    "NRC_TSGRISM": {
        **PLANE,
        "specwcs": dispersion.grism_specwcs,
        "wavelengthrange": dispersion.grism_wavelengthrange,
    },
    "NRC_TSIMAGE": PLANE,
    "NRS_BRIGHTOBJ": {
        "camera": slit_spectrograph.camera,
        "collimator": slit_spectrograph.collimator,
        "disperser": slit_spectrograph.disperser,
        "fore": slit_spectrograph.fore,
        "fpa": slit_spectrograph.fpa,
        "msa": slit_spectrograph.msa,
        "ote": slit_spectrograph.ote,
        "wavelengthrange": slit_spectrograph.wavelengthrange,
        "area": slit_spectrograph.area,
        "fflat": flats.fore_optics,
    },
    "MIR_LRS-SLITLESS": {**PLANE, "specwcs": dispersion.prism_specwcs},
    "MIR_IMAGE": PLANE,
}


def make(observation: Observation) -> dict[str, Carried | NirspecFlat | Pastasoss]:
    """Return the references by REFTYPE in lower case."""
    return {name: maker(observation) for name, maker in DEMANDED.get(observation.mode.exp_type, {}).items()}
