"""How far a stage has come, kept beside its unfinished product, so that a stopped run goes on where it was."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from uptheramp.calibrate.io.atomic import whole


class Checkpoint(NamedTuple):
    """What the rest of Stage 1 needs to know of the integrations that are on disk.

    `done` of them; `mean_group_s` as the header says it; `sums` of the mean image; the leaves of the steps' `memory`.
    """

    done: int
    mean_group_s: float
    sums: dict[str, np.ndarray]
    memory: list[np.ndarray]


def save(path: Path, origin: str, checkpoint: Checkpoint) -> None:
    """Write it, with the origin of the product."""
    arrays = {f"sum {name}": value for name, value in checkpoint.sums.items()}
    arrays |= {f"memory {i}": leaf for i, leaf in enumerate(checkpoint.memory)}
    head = {"origin": origin, "done": checkpoint.done, "mean_group_s": checkpoint.mean_group_s}
    with whole(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **head, **arrays)


def load(path: Path, origin: str) -> Checkpoint | None:
    """Read it; None if there is none, or one of a product of another origin."""
    if not path.is_file():
        return None
    with np.load(path) as kept:
        if str(kept["origin"]) != origin:
            return None
        sums = {name.removeprefix("sum "): kept[name] for name in kept.files if name.startswith("sum ")}
        leaves = sum(name.startswith("memory ") for name in kept.files)
        memory = [kept[f"memory {i}"] for i in range(leaves)]
        return Checkpoint(int(kept["done"]), float(kept["mean_group_s"]), sums, memory)
