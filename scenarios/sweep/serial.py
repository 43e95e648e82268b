"""The serial engine: one task after the other, in this process."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from uptheramp.scenarios.sweep.engine import Done


class Serial:
    """Runs tasks here; there is one worker whatever is asked for."""

    def __init__(self, workers: int = 1):
        self.workers = workers

    def run(self, work: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Done]:
        """Yield each task as it ends."""
        for index, task in enumerate(tasks):
            yield attempt(work, task, index)


def attempt(work: Callable[[Any], Any], task: Any, index: int) -> Done:
    """Run one task; an error becomes its one line."""
    try:
        return Done(index, work(task))
    except Exception as error:
        return Done(index, None, f"{type(error).__name__}: {' '.join(str(error).split())}")
