"""The step tables of Stage 1: which steps, in which order, with which parameters.

`jwst_3_0` is what the official pipeline 3.0.0 runs by default, `jwst_2021` the list required then for time series,
`recommended` ours. None looks for snowballs or showers unless asked (`--set jump.expand_large_events=true`,
`jump.find_showers=true`), as the official step does not by default. `OFF` names the steps of a table that run only when
asked for (`--set STEP.skip=false`): those that the official pipeline skips by default, and those that its list has for
other than time series.
"""

from typing import Any

from uptheramp.calibrate.stage1.charge_migration import charge_migration
from uptheramp.calibrate.stage1.clean_flicker_noise import clean_flicker_noise
from uptheramp.calibrate.stage1.dark_current import dark_current
from uptheramp.calibrate.stage1.dq_init import dq_init
from uptheramp.calibrate.stage1.emicorr import emicorr
from uptheramp.calibrate.stage1.firstframe import firstframe
from uptheramp.calibrate.stage1.gain_scale import gain_scale
from uptheramp.calibrate.stage1.group_scale import group_scale
from uptheramp.calibrate.stage1.ipc import ipc
from uptheramp.calibrate.stage1.jump import JumpParams, jump
from uptheramp.calibrate.stage1.lastframe import lastframe
from uptheramp.calibrate.stage1.linearity import LinearityParams, linearity
from uptheramp.calibrate.stage1.one_over_f import one_over_f
from uptheramp.calibrate.stage1.persistence import persistence
from uptheramp.calibrate.stage1.picture_frame import picture_frame
from uptheramp.calibrate.stage1.ramp_fit import RampFitParams, ramp_fit
from uptheramp.calibrate.stage1.refpix import RefpixParams, refpix
from uptheramp.calibrate.stage1.reset import reset
from uptheramp.calibrate.stage1.rscd import rscd
from uptheramp.calibrate.stage1.saturation import saturation
from uptheramp.calibrate.stage1.superbias import superbias
from uptheramp.calibrate.step import Step

_HEAD = (group_scale, dq_init, saturation)
_FIT = (ramp_fit, gain_scale)
_NEAR_IR_TAIL = (charge_migration, jump, picture_frame, clean_flicker_noise, persistence, *_FIT)
_NEAR_IR = (*_HEAD, ipc, superbias, refpix, linearity, dark_current, *_NEAR_IR_TAIL)
_MID_IR_TAIL = (charge_migration, jump, persistence, *_FIT)  # the official clean_flicker_noise refuses MIRI's spectra
_MIRI_HEAD = (ipc, firstframe, lastframe)

_MIRI_MIDDLE = (reset, linearity, rscd, dark_current, refpix)
_MID_IR = (group_scale, dq_init, emicorr, saturation, *_MIRI_HEAD, *_MIRI_MIDDLE, *_MID_IR_TAIL)
_TODAY = {"near_ir": _NEAR_IR, "mid_ir": _MID_IR}


def _with(step: Step, steps: tuple[Step, ...], before: Step) -> tuple[Step, ...]:
    """The steps with one more before one of them."""
    at = steps.index(before)
    return (*steps[:at], step, *steps[at:])


TABLES: dict[str, dict[str, tuple[Step, ...]]] = {
    "recommended": {family: _with(one_over_f, steps, persistence) for family, steps in _TODAY.items()},
    "jwst_3_0": _TODAY,
    "jwst_2021": {
        "near_ir": (*_HEAD, ipc, superbias, refpix, linearity, persistence, dark_current, jump, *_FIT),
        "mid_ir": (*_HEAD, *_MIRI_HEAD, linearity, rscd, dark_current, refpix, jump, *_FIT),
    },
}

_OFF_TODAY = (
    "firstframe",
    "charge_migration",
    "clean_flicker_noise",
    "persistence",
)  # besides emicorr, which flight parameters turn on

_OFF_2021 = ("ipc", "firstframe", "lastframe", "rscd", "persistence")

OFF: dict[str, dict[str, tuple[str, ...]]] = {
    "recommended": {
        "near_ir": _OFF_TODAY,
        # rscd: integrations after the first are alike, and skipping a third of the groups costs photons;
        # one_over_f: these outputs show none, and what it finds there is something else (docs/one_over_f_rates.md)
        "mid_ir": (*_OFF_TODAY, "rscd", "one_over_f"),
    },
    "jwst_3_0": dict.fromkeys(_TODAY, ("emicorr", *_OFF_TODAY)),
    "jwst_2021": dict.fromkeys(_TODAY, _OFF_2021),
}

_OFFICIAL: dict[str, Any] = {"jump": JumpParams(), "ramp_fit": RampFitParams()}

DEFAULTS: dict[str, dict[str, Any]] = {
    "recommended": {
        # 5 instead of 4: the noise model knows nothing of 1/f, and against a template there is no slack to hide it
        "jump": JumpParams(rejection_threshold=5.0, expectation="template"),
        "ramp_fit": RampFitParams(algorithm="GLS"),
        # the running median puts the noise of single reference pixels into whole lines
        "refpix": RefpixParams(side_estimator="kriging"),
        # the polynomial of an average of frames is not the average of the polynomials (docs/effect_bias.md)
        "linearity": LinearityParams(frames_within_groups=True),
    },
    "jwst_3_0": _OFFICIAL,
    "jwst_2021": _OFFICIAL,
}
