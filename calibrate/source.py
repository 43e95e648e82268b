"""Names for the text of the code, so that one can say whether two answers were made by the same."""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

LIBRARIES = ("uptheramp", "jax", "jaxlib", "numpy", "astropy")
DATA = (".py", ".toml", ".csv", ".npz")  # endings of files that decide figures


@cache
def core() -> str:
    """The text of the calibration core, and the versions of the libraries it computes and writes with."""
    folder = Path(str(files("uptheramp.calibrate")))
    hashed = hashlib.sha256(" ".join(version(name) for name in LIBRARIES).encode())
    feed(hashed, folder, (p for p in folder.rglob("*") if p.suffix in DATA))
    return hashed.hexdigest()


def feed(hashed: Any, folder: Path, paths: Iterable[Path]) -> None:
    """Add the names inside a folder and the contents of files to a hash, in one order everywhere."""
    for path in sorted(paths):
        hashed.update(f"{folder.name}/{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes() + b"\0")
