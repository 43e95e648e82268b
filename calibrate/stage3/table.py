"""The step tables of Stage 3, spectroscopic time series: calints in, spectra out; light curves are made of those."""

from typing import Any

from uptheramp.calibrate.stage2.extract_1d import extract_1d
from uptheramp.calibrate.stage2.table import DEFAULTS as STAGE2_DEFAULTS
from uptheramp.calibrate.stage2.table import EXP_TYPES
from uptheramp.calibrate.stage3.outlier_detection import outlier_detection
from uptheramp.calibrate.step import Step

_STEPS = (outlier_detection, extract_1d)

TABLES: dict[str, dict[str, tuple[Step, ...]]] = {name: dict.fromkeys(EXP_TYPES, _STEPS) for name in STAGE2_DEFAULTS}

# the extraction is the one of Stage 2, so it keeps its parameters
DEFAULTS: dict[str, dict[str, Any]] = {
    name: {key: value for key, value in given.items() if key == extract_1d.name}
    for name, given in STAGE2_DEFAULTS.items()
}
