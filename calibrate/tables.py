"""Strict TOML: a file becomes a tree of frozen dataclasses, or one clear line says what is wrong with it and where.

Instrument tables, scenarios, systems and sweeps are all read through this. Unknown keys and wrong types are refused
(cattrs alone would turn "8" into 8, and a string into a tuple of letters); an int serves as a float, a bool as neither.
Classes may check their own values in `__post_init__` by raising ValueError. Never imports jax.
"""

import math
import tomllib
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import cattrs
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError, IterableValidationNote
from cattrs.gen import make_dict_structure_fn

from uptheramp.calibrate.errors import InputError

T = TypeVar("T")
SHOWN = 3  # problems named in one line; the rest are counted


def load(path: str | Path | Traversable, cls: type[T]) -> T:
    """Read a TOML file into the dataclass `cls`.

    Raises
    ------
    InputError
        One line: the file, the path of the key, what is wrong, and the nearest known name.
    """
    return structure(read(path), cls, str(path))


def read(path: str | Path | Traversable) -> dict[str, Any]:
    """Read a TOML file into plain dicts and lists; a file that is missing or not TOML is an InputError."""
    file = Path(path) if isinstance(path, str) else path
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not valid TOML: it is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {' '.join(str(error).split())}") from None


def structure(mapping: Mapping[str, Any], cls: type[T], where: str) -> T:
    """Turn nested dicts into the dataclass `cls`; `where` (a file name) begins the text of the error."""
    try:
        return _converter.structure(mapping, cls)
    except Exception as error:
        problems = list(_problems(error, ""))
        rest = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise InputError(f"{where}: {'; '.join(problems[:SHOWN])}{rest}") from None


def nearest(name: str, known: Iterable[str]) -> str:
    """Find the known name that a mistyped one most likely means, or an empty string."""
    lower = {k.lower(): k for k in known}
    return next((lower[k] for k in get_close_matches(name.lower(), lower, n=1)), "")


def _problems(error: BaseException, path: str) -> Iterator[str]:
    """Walk cattrs' tree of errors: one text per wrong key or value, unknown keys first."""
    if isinstance(error, ClassValidationError):
        noted, plain = error.group_exceptions()
        known = [f.name for f in fields(error.cl)]
        meant = set()
        for unknown in (e for e in plain if isinstance(e, ForbiddenExtraKeysError)):
            for key in sorted(unknown.extra_fields):
                near = nearest(key, known)
                meant.add(near)
                hint = f", did you mean {near}?" if near else f" (known: {', '.join(known)})"
                yield f"unknown key {_join(path, key)}{hint}"
        for inner, note in noted:
            if isinstance(inner, KeyError):
                if note.name not in meant:  # a mistyped key is also a missing one: say it once
                    yield f"missing key {_join(path, note.name)}"
            else:
                yield from _problems(inner, _join(path, note.name))
        for inner in plain:
            if not isinstance(inner, ForbiddenExtraKeysError):
                yield from _problems(inner, path)
    elif isinstance(error, IterableValidationError):
        for inner, note in error.group_exceptions()[0]:
            yield from _problems(inner, f"{path}[{note.index}]" if type(note.index) is int else _join(path, note.index))
    else:
        yield f"{path or 'the file'}: {error}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else str(key)


def _show(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _refuse(value: Any, expected: str) -> ValueError:
    return ValueError(f"expected {expected}, got {_show(value)}")


def _int(value: Any, _: Any) -> int:
    if type(value) is not int:
        raise _refuse(value, "an integer")
    return value


def _float(value: Any, _: Any) -> float:
    if type(value) not in (int, float) or math.isnan(value):
        raise _refuse(value, "a number")
    return float(value)


def _bool(value: Any, _: Any) -> bool:
    if type(value) is not bool:
        raise _refuse(value, "true or false")
    return value


def _str(value: Any, _: Any) -> str:
    if type(value) is not str:
        raise _refuse(value, "a string")
    return value


def _literal(value: Any, kind: Any) -> Any:
    allowed = get_args(kind)
    if not any(type(value) is type(a) and value == a for a in allowed):
        near = nearest(value, [a for a in allowed if isinstance(a, str)]) if isinstance(value, str) else ""
        raise ValueError(
            f"expected one of {', '.join(map(_show, allowed))}, got {_show(value)}"
            + (f", did you mean {near}?" if near else "")
        )
    return value


def _union(value: Any, kind: Any) -> Any:
    """Take the first member that accepts the value, else give the errors of all candidates in one line."""
    members = [m for m in get_args(kind) if m is not type(None)]
    if len(members) == 1:
        return _converter.structure(value, members[0])
    texts = []
    for member in members:
        try:
            return _converter.structure(value, member)
        except Exception as error:
            texts.extend(_problems(error, "it"))
    raise ValueError(" or ".join(text.removeprefix("it: ") for text in texts))


def _tuple(value: Any, kind: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _refuse(value, "a list")
    kinds = get_args(kind)
    if kinds[-1:] == (Ellipsis,):
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise ValueError(f"expected a list of {len(kinds)}, got {len(value)} ({_show(value)})")
    return tuple(_each(zip(range(len(value)), value, kinds, strict=True), kind))


def _dict(value: Any, kind: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _refuse(value, "a table")
    item = get_args(kind)[1]
    return dict(zip(value, _each(((k, v, item) for k, v in value.items()), kind), strict=True))


def _each(items: Iterable[tuple[Any, Any, Any]], kind: Any) -> list[Any]:
    """Structure (key, value, type) triples one by one, so that every wrong one is reported under its key."""
    out, errors = [], []
    for key, value, item in items:
        try:
            out.append(_converter.structure(value, item))
        except Exception as error:
            error.add_note(IterableValidationNote("item", key, item))
            errors.append(error)
    if errors:
        raise IterableValidationError("items", errors, kind)  # pyright: ignore[reportCallIssue]  (cattrs types only __new__)
    return out


def _class(cls: type, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    build = make_dict_structure_fn(
        cls, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True, _cattrs_use_alias=False
    )

    def hook(value: Any, kind: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _refuse(value, "a table")
        return build(value, kind)

    return hook


_converter = cattrs.Converter(detailed_validation=True)
for _kind, _hook in ((int, _int), (float, _float), (bool, _bool), (str, _str)):
    _converter.register_structure_hook(_kind, _hook)
_converter.register_structure_hook_func(lambda t: get_origin(t) in (Union, types.UnionType), _union)
_converter.register_structure_hook_func(lambda t: get_origin(t) is Literal, _literal)
_converter.register_structure_hook_func(lambda t: get_origin(t) is tuple, _tuple)
_converter.register_structure_hook_func(lambda t: get_origin(t) in (dict, Mapping), _dict)
_converter.register_structure_hook_factory(lambda t: isinstance(t, type) and is_dataclass(t), _class)
