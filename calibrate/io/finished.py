"""Which files are finished: a record beside them says from what each was made and how the file looked then.

A stage that finds its products made from the same inputs, by the same steps, parameters, references and code, has
nothing to do. A file that was changed, replaced or removed since is not finished.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from uptheramp.calibrate.io.atomic import whole

RECORD = ".finished.json"


def finished(path: Path, origin: str) -> bool:
    """Whether the file is the one that was made from this origin (`origin.of`)."""
    return path.is_file() and _read(path.parent).get(path.name) == _entry(path, origin)


def all_made(folder: Path, origin: str) -> list[Path]:
    """The files of a folder that were made from this origin; none if one of them is not as it was."""
    paths = [folder / name for name, (made_from, *_) in _read(folder).items() if made_from == origin]
    return sorted(paths) if all(finished(path, origin) for path in paths) else []


def remember(paths: Iterable[Path], origin: str) -> None:
    """Say of files just written from what they were made."""
    by_folder: dict[Path, list[Path]] = {}
    for path in paths:
        by_folder.setdefault(path.parent, []).append(path)
    for folder, made in by_folder.items():
        entries = {path.name: _entry(path, origin) for path in made}
        with whole(folder / RECORD) as temporary:
            temporary.write_text(json.dumps({**_read(folder), **entries}, indent=1))


def _entry(path: Path, origin: str) -> list[Any]:
    stat = path.stat()
    return [origin, stat.st_size, stat.st_mtime_ns]


def _read(folder: Path) -> dict[str, Any]:
    """The record, empty where there is none that can be read: what it would say is done again."""
    try:
        content = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
