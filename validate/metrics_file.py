"""`metrics.json`: the records of a run or of many seeds, by mode, with names that carry their version."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.atomic import whole
from uptheramp.validate.ensemble import Ensemble
from uptheramp.validate.record import Record, overall
from uptheramp.validate.recovery import judge

FORMAT, VERSION = "uptheramp.metrics", 1


@dataclass(frozen=True)
class ModeMetrics:
    """What is known of one mode: the verdict, its records, the table by bin, and what the scenario says of itself.

    `bins` maps column names (with units) to lists; `scenario` holds plain values such as the factor by which the orbit
    was compressed.
    """

    mode: str
    seeds: int
    verdict: str
    records: tuple[Record, ...]
    bins: dict[str, list[float]] = field(default_factory=dict)
    scenario: dict[str, Any] = field(default_factory=dict)


def summarise_ensemble(
    x: Ensemble, extra: Sequence[Record] = (), scenario: dict[str, Any] | None = None, modes: int = 1
) -> ModeMetrics:
    """Judge some seeds of one of `modes` modes; `extra` records (light curve, rate, jump) join those of the depths."""
    recovery = judge(x, modes)
    records = recovery.records + tuple(extra)
    table = {name: [float(v) for v in column] for name, column in vars(recovery.per_bin).items()}
    return ModeMetrics(x.mode, recovery.seeds, overall(records), records, table, scenario or {})


def summarise_run(
    mode: str,
    *,
    wavelength_um: Any,
    depth: Any,
    covariance: Any,
    truth: Any,
    twin: Any = None,
    residuals: int | None = None,
    ers_sigma_ppm: float | None = None,
    extra: Sequence[Record] = (),
    scenario: dict[str, Any] | None = None,
    modes: int = 1,
) -> ModeMetrics:
    """Judge one seed: `depth`, `truth`, `twin` (bin,) and `covariance` (bin, bin), depths as fractions.

    Statistics that need many seeds come with their single-seed interval: outside it they fail, inside they are "not
    decided" and say how many seeds would decide.
    """
    x = Ensemble(
        mode=mode,
        wavelength_um=wavelength_um,
        depth=depth[None],
        covariance=covariance[None],
        truth=truth[None],
        twin=None if twin is None else twin[None],
        residuals=residuals,
        ers_sigma_ppm=ers_sigma_ppm,
    )
    return summarise_ensemble(x, extra, scenario, modes)


def _plain(value: Any) -> Any:
    """Values that strict JSON can hold: numbers that are not finite become null."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(path: Path, modes: Sequence[ModeMetrics]) -> None:
    """Write the file beside its final name and rename it."""
    content = {"format": FORMAT, "version": VERSION, "modes": {m.mode: _plain(asdict(m)) for m in modes}}
    with whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def _mode(values: dict[str, Any]) -> ModeMetrics:
    records = tuple(Record(**{**r, "value": math.nan if r["value"] is None else r["value"]}) for r in values["records"])
    bins = {k: [math.nan if v is None else v for v in column] for k, column in values["bins"].items()}
    return ModeMetrics(**{**values, "records": records, "bins": bins})


def read(path: Path) -> tuple[ModeMetrics, ...]:
    """Read what `write` wrote.

    Raises
    ------
    InputError
        If the file is missing, is no metrics file, or is of a version that this code does not know.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the metrics.json of a run") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise InputError(f"{path}: not valid JSON; give the metrics.json of a run") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: not a metrics file of uptheramp; give the metrics.json of a run")
    if content.get("version") != VERSION:
        raise InputError(f"{path}: metrics version {content.get('version')}, this code reads {VERSION}; run it again")
    return tuple(_mode(values) for values in content["modes"].values())
