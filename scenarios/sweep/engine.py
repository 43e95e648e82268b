"""The face of an engine: it runs a function over tasks, in any order and place, and hands back what comes out.

A new engine (a cluster's) is one more file with a class that has `run`, and a line in `ENGINES`. It must run each task
whole, in one process, and report a task that fails instead of raising.
"""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.tables import nearest

ENGINES = {"serial": "Serial", "processes": "Processes"}  # module -> class


class Done(NamedTuple):
    """A task that ended: with a result, or with the reason why there is none."""

    index: int  # of the task
    result: Any
    error: str = ""


class Engine(Protocol):
    """Runs tasks."""

    def run(self, work: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Done]:
        """Yield each task as it ends; `work` is a function of a module, tasks and results can be pickled."""
        ...


def engine(name: str, workers: int) -> Engine:
    """An engine by name.

    Raises
    ------
    InputError
        For a name that is not known.
    """
    if name not in ENGINES:
        raise InputError(f"unknown engine {name!r}, did you mean {nearest(name, ENGINES) or ' or '.join(ENGINES)}?")
    if workers < 1:
        raise InputError(f"--workers {workers}: give at least 1")
    return getattr(import_module(f"uptheramp.scenarios.sweep.{name}"), ENGINES[name])(workers)
