"""A sweep to its end: what the store lacks is run, and kept as it comes."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios.store.rows import Result
from uptheramp.scenarios.store.store import Store
from uptheramp.scenarios.sweep.engine import Engine
from uptheramp.scenarios.sweep.jobs import Plan, keys, remaining
from uptheramp.scenarios.task import Task

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Outcome:
    """How a run of a sweep went: results made now, results that were there, tasks that failed and why."""

    made: int
    found: int
    failed: tuple[str, ...]


def drive(
    plan: Plan, store: Store, engine: Engine, source: str, work: Callable[[Task], list[Result]], progress: Progress
) -> Outcome:
    """Run what is missing. Each task's results are kept in one transaction as soon as it ends.

    Killed at any moment, the store holds whole tasks; the next run begins with what is left. A second run of the same
    sweep beside the first is refused.
    """
    with alone(store, plan.stored.name):
        store.keep_sweep(plan.stored, [one.case for one in plan.asked])
        wanted = [key for task in plan.tasks for key in keys(task, source)]
        done = store.done(wanted)
        tasks = [left for task in plan.tasks if (left := remaining(task, done, source)) is not None]
        failed, made = [], 0
        progress("", 0, len(tasks))
        for number, ended in enumerate(engine.run(work, tasks), start=1):
            task = tasks[ended.index]
            if ended.error:
                failed.append(f"{task.name}: {ended.error}")
            else:
                store.add(ended.result)
                made += len(ended.result)
            progress(task.name, number, len(tasks))
    return Outcome(made, len(done), tuple(failed))


@contextmanager
def alone(store: Store, name: str) -> Iterator[None]:
    """Hold the lock of a sweep on a store in a file (a database elsewhere has none); it ends with the process."""
    path = store.path
    if path is None:
        yield
        return
    safe = "".join(c if c.isalnum() else "-" for c in name)
    with path.with_name(f".{path.name}-{safe}.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path}: sweep {name!r} is already running on this store; wait, or stop it") from None
        yield
