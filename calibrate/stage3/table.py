"""The step tables of Stage 3, spectroscopic time series: calints in, spectra out; light curves are made of those."""

from typing import Any

from uptheramp.calibrate.stage2.table import DEFAULTS as STAGE2_DEFAULTS
from uptheramp.calibrate.stage2.table import TABLES as STAGE2
from uptheramp.calibrate.stage3.outlier_detection import outlier_detection
from uptheramp.calibrate.state import Spectra
from uptheramp.calibrate.step import Step
from uptheramp.calibrate.stream import split

# spectra are made of the images once more, as in Stage 2, so that outliers are known
TABLES: dict[str, dict[str, tuple[Step, ...]]] = {
    name: {exp_type: (outlier_detection, *split(steps, Spectra)[1]) for exp_type, steps in table.items()}
    for name, table in STAGE2.items()
}

DEFAULTS: dict[str, dict[str, dict[str, Any]]] = {
    name: {
        exp_type: {step.name: given[step.name] for step in TABLES[name][exp_type] if step.name in given}
        for exp_type, given in table.items()
    }
    for name, table in STAGE2_DEFAULTS.items()
}
