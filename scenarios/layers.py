"""TOML in layers: a file over the one it inherits from, and single keys laid over both.

    inherit = "quickstart"     # a catalogue name, or a file beside this one

Tables are merged key by key; everything else, lists included, is replaced whole.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from uptheramp.calibrate import tables
from uptheramp.calibrate.errors import InputError

INHERIT = "inherit"
T = TypeVar("T")


def shipped(*folder: str) -> dict[str, Path]:
    """TOML files that come with the package in a folder of this room, by name."""
    entries = files("uptheramp.scenarios").joinpath(*folder).iterdir()
    return {Path(str(p)).stem: Path(str(p)) for p in sorted(entries, key=str) if p.name.endswith(".toml")}


def located(name: str, catalogue: Mapping[str, Path], what: str, folder: Path = Path()) -> Path:
    """The file of a catalogue name or path; relative paths count from `folder`.

    Raises
    ------
    InputError
        If it is neither.
    """
    path = catalogue.get(name, folder / name)
    if not path.is_file():
        raise InputError(f"{name}: no such {what} file, and the catalogue has only {', '.join(catalogue)}")
    return path


def read(path: Path, catalogue: Mapping[str, Path], what: str, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a file and all it inherits from into one tree of plain values.

    Raises
    ------
    InputError
        For files that are missing, not TOML, or inherit from themselves.
    """
    if path in above:
        raise InputError(f"{path}: inherits from itself, by way of {' -> '.join(p.name for p in above)}")
    content = tables.read(path)
    parent = content.pop(INHERIT, None)
    if parent is None:
        return content
    if not isinstance(parent, str):
        raise InputError(f"{path}: {INHERIT} is {parent!r}; give the name of one {what}")
    below = located(parent, catalogue, what, path.parent)
    return merged(read(below, catalogue, what, (*above, path)), content)


def asked(name: str, catalogue: Mapping[str, Path], what: str, kind: type[T]) -> tuple[T, Path]:
    """What a file of a catalogue name or path asks, and the folder from which it names other files.

    Raises
    ------
    InputError
        If it is neither, or if the file has unknown keys, wrong types or senseless values.
    """
    path = located(name, catalogue, what)
    return tables.structure(read(path, catalogue, what), kind, str(path)), path.parent


def merged(below: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with what `over` says otherwise."""
    out = dict(below)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merged(out[key], value) if both else value
    return out


def with_value(content: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The tree with one value laid over it: `star.k_mag`; a list of tables on the way takes it in every table."""
    name, _, rest = key.partition(".")
    if not rest:
        return {**content, name: value}
    inner = content.get(name, {})
    if isinstance(inner, list):
        return {**content, name: [with_value(item, rest, value) for item in inner]}
    if not isinstance(inner, Mapping):
        raise InputError(f"{key}: {name} is a value, not a table")
    return {**content, name: with_value(inner, rest, value)}
