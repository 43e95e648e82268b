"""What a product is made from, as one name: inputs, steps, parameters, references, code.

Two runs whose origins are equal end with equal products, so that what one has finished the other need not do again.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from uptheramp.calibrate import source
from uptheramp.calibrate.step import Step


def of(
    inputs: Iterable[Path],
    steps: tuple[Step, ...],
    params: Mapping[str, Any],
    library: Mapping[str, Any],
    cards: Mapping[str, str],
) -> str:
    """The origin of what these steps make of these files: 40 hexadecimal digits; `cards` are what headers say of it.

    Files count by path, size and time of change, references by their content, and the code by its text.
    """
    hashed = hashlib.blake2b(source.core().encode(), digest_size=20)
    _feed(hashed, cards)
    for path in inputs:
        stat = path.stat()
        _feed(hashed, (str(path.resolve()), stat.st_size, stat.st_mtime_ns))
    for step in steps:
        taken = sorted({*step.reftypes(), step.learned} & set(library))
        _feed(hashed, (step.name, params.get(step.name), {name: library[name] for name in taken}))
    return hashed.hexdigest()


def _feed(hashed: Any, value: Any) -> None:
    """Add a value to a hash: records field by field, arrays with shape and type, the rest as it prints."""
    if is_dataclass(value) and not isinstance(value, type):
        value = (type(value).__name__, {f.name: getattr(value, f.name) for f in fields(value)})
    if isinstance(value, Mapping):
        value = sorted(value.items())
    if isinstance(value, list | tuple):
        hashed.update(f"({len(value)}".encode())
        for part in value:
            _feed(hashed, part)
    elif isinstance(value, np.ndarray | jax.Array):
        array = np.ascontiguousarray(value)
        hashed.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    else:
        hashed.update(f"{type(value).__name__}:{value!r};".encode())
