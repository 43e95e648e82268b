"""The step tables of Stage 3, time series: calints in, spectra or photometry out; light curves are made of those."""

from typing import Any

from uptheramp.calibrate.references.target import IN_FOCUS_PX
from uptheramp.calibrate.references.tsophot import RADII
from uptheramp.calibrate.stage2.pixel_replace import pixel_replace
from uptheramp.calibrate.stage2.table import DEFAULTS as STAGE2_DEFAULTS
from uptheramp.calibrate.stage2.table import TABLES as STAGE2
from uptheramp.calibrate.stage3.outlier_detection import outlier_detection
from uptheramp.calibrate.stage3.tso_photometry import TsoPhotometryParams, tso_photometry
from uptheramp.calibrate.state import Spectra
from uptheramp.calibrate.step import Step
from uptheramp.calibrate.stream import split


def _once_more(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Spectra are made of the images again, as in Stage 2, so that outliers are known; images get their photometry."""
    filled = (step for step in steps if step is pixel_replace)
    return outlier_detection, *filled, *(split(steps, Spectra)[1] or (tso_photometry,))


TABLES: dict[str, dict[str, tuple[Step, ...]]] = {
    name: {exp_type: _once_more(steps) for exp_type, steps in table.items()} for name, table in STAGE2.items()
}

# the radii are parameters of the official step since TSOPHOT was given up
_OFFICIAL_RADII = dict(zip(RADII, IN_FOCUS_PX, strict=True))
_PHOTOMETRY_DEFAULTS: dict[str, TsoPhotometryParams] = {
    "jwst_3_0": TsoPhotometryParams(missing="omit", **_OFFICIAL_RADII),
    "jwst_2021": TsoPhotometryParams(missing="omit", centroid_source=False),
}


def _defaults(name: str, exp_type: str) -> dict[str, Any]:
    given: dict[str, Any] = dict(STAGE2_DEFAULTS[name].get(exp_type, {}))
    if name in _PHOTOMETRY_DEFAULTS:
        given[tso_photometry.name] = _PHOTOMETRY_DEFAULTS[name]
    return {step.name: given[step.name] for step in TABLES[name][exp_type] if step.name in given}


DEFAULTS: dict[str, dict[str, dict[str, Any]]] = {
    name: {exp_type: _defaults(name, exp_type) for exp_type in table} for name, table in TABLES.items()
}
