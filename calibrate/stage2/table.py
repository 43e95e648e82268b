"""The step tables of Stage 2, spectroscopic time series: one tuple per exposure type, in run order.

All tuples end in extract_1d, which makes Spectra of Rates; the rest, `steps[:-1]`, makes calints.
"""

from typing import Any

from uptheramp.calibrate.stage2.assign_wcs import assign_wcs
from uptheramp.calibrate.stage2.bkg_subtract import bkg_subtract
from uptheramp.calibrate.stage2.extract_1d import Extract1dParams, extract_1d
from uptheramp.calibrate.stage2.flat_field import flat_field
from uptheramp.calibrate.stage2.photom import photom
from uptheramp.calibrate.step import Step

EXP_TYPES = ("NRS_BRIGHTOBJ", "NRC_TSGRISM", "MIR_LRS-SLITLESS")

_OURS = (assign_wcs, flat_field, bkg_subtract, photom, extract_1d)
_OFFICIAL = (assign_wcs, flat_field, photom, extract_1d)

TABLES: dict[str, dict[str, tuple[Step, ...]]] = {
    "recommended": dict.fromkeys(EXP_TYPES, _OURS),
    "jwst_3_0": dict.fromkeys(EXP_TYPES, _OFFICIAL),
    "jwst_2021": dict.fromkeys(EXP_TYPES, _OFFICIAL),
}

# the official step subtracts the background itself, unclipped, and loses the light of bad pixels
_EXTRACT_OFFICIAL = Extract1dParams(background="subtract", missing="omit")

DEFAULTS: dict[str, dict[str, Any]] = {
    "recommended": {},
    "jwst_3_0": {extract_1d.name: _EXTRACT_OFFICIAL},
    "jwst_2021": {extract_1d.name: _EXTRACT_OFFICIAL},
}
