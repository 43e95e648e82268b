"""Reading optical models from ASDF reference files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references import base


def read(path: Path, *names: str) -> list[Any]:
    """The named branches of the file's tree, its models ready for use.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a branch.
    """
    tree = base.asdf_tree(path)
    missing = [name for name in names if name not in tree]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; it is not the reference its REFTYPE says, give another")
    return [tree[name] for name in names]


def is_list(branch: Any) -> bool:
    """Whether a branch holds several models."""
    return isinstance(branch, Sequence) and not isinstance(branch, str)
