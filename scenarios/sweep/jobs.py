"""What a sweep has to do, and what of it is left."""

from dataclasses import dataclass, replace

from uptheramp.scenarios.store.rows import Key, StoredSweep
from uptheramp.scenarios.task import Asked, Task


@dataclass(frozen=True)
class Plan:
    """What a sweep asks for, and the tasks that answer it."""

    stored: StoredSweep
    asked: tuple[Asked, ...]
    tasks: tuple[Task, ...]


def keys(task: Task, source: str) -> list[Key]:
    """The results that a task makes."""
    return [Key(one.case.id, task.seed, task.mirror, source) for one in task.asked]


def remaining(task: Task, done: set[Key], source: str) -> Task | None:
    """The task with the cases that are not answered yet, None where all are."""
    left = tuple(one for one, key in zip(task.asked, keys(task, source), strict=True) if key not in done)
    return replace(task, asked=left) if left else None
