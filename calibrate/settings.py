"""Which steps run with which parameters: a named table, less what is skipped, plus what the user sets.

Keys are as users of the official pipeline type them: `jump.rejection_threshold=5`, `jump.skip=true`,
`charge_migration.skip=false` for a step that its table leaves out by default.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, get_args, get_type_hints

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.stage1 import table as stage1
from uptheramp.calibrate.stage2 import table as stage2
from uptheramp.calibrate.stage3 import table as stage3
from uptheramp.calibrate.step import Step

_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


@dataclass(frozen=True)
class Recipe:
    """The steps of the three stages and the parameters by step name."""

    table: str
    stage1: tuple[Step, ...]
    stage2: tuple[Step, ...]
    stage3: tuple[Step, ...]
    params: dict[str, Any]
    skipped: tuple[str, ...] = ()

    @property
    def pools(self) -> bool:
        """Whether the jump step compares with a median over all integrations at once, as the official one does."""
        return getattr(self.params.get("jump"), "expectation", None) == "exposure"

    def cards(self, *stages: int) -> dict[str, str]:
        """S_<STEP> cards: COMPLETE for what ran in these stages, SKIPPED for what was left out.

        What the official srctype decides is implied (`ExposureMeta.point_source`).
        """
        ran = {step.name for stage in stages for step in (self.stage1, self.stage2, self.stage3)[stage - 1]}
        source = {"S_SRCTYP": "COMPLETE"} if "extract_1d" in ran else {}
        done = {CARDS[name]: "COMPLETE" for name in sorted(ran)}
        return {CARDS[name]: "SKIPPED" for name in self.skipped} | done | source


# header keywords of the official schema
CARDS = {
    "assign_wcs": "S_WCS",
    "badpix_selfcal": "S_BPXSLF",
    "bkg_subtract": "S_BKDSUB",
    "charge_migration": "S_CHGMIG",
    "clean_flicker_noise": "S_CLNFNS",
    "dark_current": "S_DARK",
    "dq_init": "S_DQINIT",
    "emicorr": "S_MIREMI",
    "extract_1d": "S_EXTR1D",
    "firstframe": "S_FRSTFR",
    "flat_field": "S_FLAT",
    "gain_scale": "S_GANSCL",
    "group_scale": "S_GRPSCL",
    "ipc": "S_IPC",
    "jump": "S_JUMP",
    "lastframe": "S_LASTFR",
    "linearity": "S_LINEAR",
    "one_over_f": "S_ONEOVF",  # ours: no official keyword
    "outlier_detection": "S_OUTLIR",
    "pathloss": "S_PTHLOS",
    "persistence": "S_PERSIS",
    "photom": "S_PHOTOM",
    "picture_frame": "S_PCTFRM",
    "pixel_replace": "S_PXREPL",
    "ramp_fit": "S_RAMP",
    "refpix": "S_REFPIX",
    "reset": "S_RESET",
    "rscd": "S_RSCD",
    "saturation": "S_SATURA",
    "superbias": "S_SUPERB",
    "tso_photometry": "S_TSPHOT",
    "wavecorr": "S_WAVCOR",
    "white_light": "S_WHTLIT",
}


def recipe(
    table: str,
    family: str,
    exp_type: str,
    overrides: Mapping[str, str] | None = None,
    stages: Iterable[int] = (1, 2, 3),
) -> Recipe:
    """The recipe of a step table for one kind of exposure.

    Raises
    ------
    InputError
        Unknown table, exposure type, step or parameter, with the nearest name; a value of the wrong type.
    """
    if table not in stage1.TABLES:
        raise InputError(f"unknown step table {table!r}{nearest(table, stage1.TABLES)}")
    known = stage2.TABLES[table]
    if exp_type not in known and set(stages) & {2, 3}:
        raise InputError(f"no Stage 2 for EXP_TYPE {exp_type} in this version (there is for {', '.join(known)})")
    steps = (stage1.TABLES[table][family], known.get(exp_type, ()), stage3.TABLES[table].get(exp_type, ()))
    defaults = dict(stage1.DEFAULTS.get(table, {}))
    for later in (stage2.DEFAULTS, stage3.DEFAULTS):
        defaults |= later.get(table, {}).get(exp_type, {})
    off = {*stage1.OFF[table][family], *stage2.OFF}
    params, skipped = _override({s.name: s for stage in steps for s in stage}, defaults, overrides or {}, off)
    kept = [tuple(s for s in stage if s.name not in skipped) for stage in steps]
    return Recipe(table, *kept, params=params, skipped=tuple(sorted(skipped)))


def _override(
    steps: Mapping[str, Step], defaults: Mapping[str, Any], overrides: Mapping[str, str], off: set[str]
) -> tuple[dict[str, Any], set[str]]:
    params = {
        name: defaults.get(name, step.params_type()) for name, step in steps.items() if step.params_type is not None
    }
    skipped = off & set(steps)
    for key, text in overrides.items():
        name, _, parameter = key.partition(".")
        if name not in steps:
            raise InputError(f"--set {key}: unknown step {name!r}{nearest(name, steps)}")
        if parameter == "skip":
            (skipped.add if _value(text, bool, key) else skipped.discard)(name)
            continue
        kind = steps[name].params_type
        known = {} if kind is None else get_type_hints(kind)
        known = {} if kind is None else {f.name: known[f.name] for f in fields(kind)}
        if parameter not in known:
            raise InputError(f"--set {key}: step {name} has no parameter {parameter!r}{nearest(parameter, known)}")
        params[name] = replace(params[name], **{parameter: _value(text, known[parameter], key)})
    return params, skipped


def _value(text: str, kind: Any, key: str) -> Any:
    """Text as a bool, int, float or str, strictly; a number that may also be an array is given as a number."""
    kind = next((k for k in get_args(kind) if k in (bool, int, float, str)), kind)
    try:
        if kind is bool:
            if text.lower() in _TRUE + _FALSE:
                return text.lower() in _TRUE
            raise ValueError
        return kind(text)
    except (TypeError, ValueError):
        raise InputError(f"--set {key}={text}: expected {getattr(kind, '__name__', kind)}") from None


def nearest(name: str, known: Iterable[str]) -> str:
    """', did you mean X?' where some known name is near, else the list of them."""
    known = list(known)
    close = get_close_matches(name, known, 1)
    return f", did you mean {close[0]}?" if close else f"; there are {', '.join(known) or 'none'}"
