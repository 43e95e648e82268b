"""Names whose meaning never changes: of a question (a case), and of the code that answers it.

The id of a case is a hash of what the scenario says of one mode, without its seed and its names. A value that equals
its default is left out, so that a key added later, with a default that changes nothing, leaves all ids as they are. The
store keeps the values in full and refuses a case whose id is known with other values (a default was changed).
"""

import hashlib
import json
import math
import subprocess
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uptheramp.calibrate import source
from uptheramp.calibrate.source import DATA

if TYPE_CHECKING:  # workers that compute nothing need no JAX
    from uptheramp.scenarios.scenario import ModeBlock, Scenario

ID_VERSION = 1
NAMES = ("name", "summary", "label", "seed")  # say nothing of the question
OTHERS = ("mode",)  # modes of the scenario beside the one asked about
FILES = ("variability",)  # name a file: what counts is what is in it
ANSWERS = ("calibrate", "simulate", "validate", "scenarios")  # rooms whose code makes the figures
ELSEWHERE = ("store", "sweep", "sweeps", "dashboard", "cli", "catalog", "figures")  # folders in them that do not
PAGES = "report"  # nor do files whose names begin so
SHORT = 12


def question(scenario: "Scenario", block: "ModeBlock", level: str, *, full: bool) -> dict[str, Any]:
    """What is asked, as plain values; `full` with the values that equal their defaults."""
    return {**_values(scenario, full, NAMES + OTHERS), "mode": _values(block, full, NAMES), "level": level}


def case_id(scenario: "Scenario", block: "ModeBlock", level: str) -> str:
    """The id of a case: 20 hexadecimal digits of SHA-256 over the canonical JSON of the question."""
    return digest({"id_version": ID_VERSION, **question(scenario, block, level, full=False)})


def digest(content: Any) -> str:
    """20 hexadecimal digits of SHA-256 over canonical JSON: sorted keys, no spaces, numbers by their shortest form."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _values(record: Any, full: bool, without: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a dataclass; unless `full`, without those that equal their default or hold nothing."""
    kept = [f for f in fields(record) if f.name not in without]
    plain = {f.name: _plain(getattr(record, f.name), full) for f in kept}
    plain |= {name: _content(plain[name]) for name in FILES if plain.get(name)}
    return plain if full else {f.name: plain[f.name] for f in kept if not _default(f, record) and plain[f.name] != {}}


def _content(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:20]


def _default(field: Field, record: Any) -> bool:
    value = field.default if field.default_factory is MISSING else field.default_factory()
    return value is not MISSING and getattr(record, field.name) == value


def _plain(value: Any, full: bool) -> Any:
    if is_dataclass(value):
        return _values(value, full, NAMES)
    if isinstance(value, dict):
        return {k: _number(v) if isinstance(v, str) else _plain(v, full) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, full) for v in value]
    return value


def _number(text: str) -> Any:
    """A step parameter as it is typed: "5", "5.0" and "5e0" are one number, "True" is true."""
    try:
        number = float(text)
        return number if math.isfinite(number) else text
    except ValueError:
        return text.lower() if text.lower() in ("true", "false") else text


@dataclass(frozen=True)
class Code:
    """A version of the code. `source` is a hash over the files that make figures: equal source, equal answers."""

    source: str
    package: str
    commit: str  # of the repository, "" where there is none; with a "+" where files differ from it


@cache
def code() -> Code:
    """The code that runs."""
    hashed = hashlib.sha256()
    folders = {room: Path(str(files(f"uptheramp.{room}"))) for room in ANSWERS}
    for folder in folders.values():
        found = (p for p in folder.rglob("*") if p.suffix in DATA)
        source.feed(hashed, folder, (p for p in found if _answers(p.relative_to(folder))))
    ours = _git(folders["scenarios"], "ls-files", "identity.py")  # an environment may lie inside another repository
    commit = _git(folders["scenarios"], "rev-parse", f"--short={SHORT}", "HEAD") if ours else ""
    changed = "+" if commit and _git(folders["scenarios"].parent, "status", "--porcelain", "--", *ANSWERS) else ""
    return Code(hashed.hexdigest()[:20], version("uptheramp"), commit + changed)


def _answers(inside: Path) -> bool:
    """Whether a file of a room has a part in the figures."""
    return not set(inside.parts) & set(ELSEWHERE) and not inside.name.startswith(PAGES)


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
