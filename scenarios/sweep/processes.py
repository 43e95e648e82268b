"""The engine of local processes: workers that live through the whole sweep, so that each compiles a program once.

Written by hand, since the pool of the standard library breaks when a worker is killed and leaves workers behind when
its parent is. Here a task whose worker dies is given to a new one, and workers end with the process that started them.
"""

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from typing import Any

from uptheramp.scenarios.sweep.engine import Done
from uptheramp.scenarios.sweep.serial import attempt

ATTEMPTS = 3  # workers that may die on a task before it counts as failed


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    task: int | None = None  # index of what it is at


class Processes:
    """Runs tasks in `workers` processes of this machine."""

    def __init__(self, workers: int = 2):
        self.workers = workers

    def run(self, work: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Done]:
        """Yield each task as it ends; leaving the iterator early ends the workers."""
        waiting, tries = deque(range(len(tasks))), [0] * len(tasks)
        crew = [_start(work) for _ in range(min(self.workers, len(tasks)))]
        try:
            for worker in crew:
                _give(worker, waiting, tasks)
            while any(worker.task is not None for worker in crew):
                busy = {w.pipe: w for w in crew if w.task is not None}
                for pipe in connection.wait(list(busy)):
                    worker = busy[pipe]  # pyright: ignore[reportArgumentType]  (wait gives back what it was given)
                    index = worker.task
                    assert index is not None  # the busy ones have a task
                    worker.task = None
                    try:
                        done = worker.pipe.recv()
                    except (EOFError, ConnectionError):
                        tries[index] += 1
                        crew[crew.index(worker)] = worker = _restart(worker, work)
                        done = None if tries[index] < ATTEMPTS else Done(index, None, _death(tries[index]))
                        if done is None:
                            waiting.appendleft(index)
                    _give(worker, waiting, tasks)
                    if done is not None:
                        yield done
        finally:
            for worker in crew:
                worker.pipe.close()  # an idle worker ends with it
                if worker.task is not None:
                    worker.process.terminate()
            for worker in crew:
                worker.process.join()


def _death(times: int) -> str:
    return f"the worker died {times} times on it (out of memory?)"


def _start(work: Callable[[Any], Any]) -> _Worker:
    context = get_context("spawn")  # JAX and fork do not go together
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(work, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _restart(dead: _Worker, work: Callable[[Any], Any]) -> _Worker:
    dead.pipe.close()
    dead.process.join()
    return _start(work)


def _give(worker: _Worker, waiting: deque[int], tasks: Sequence[Any]) -> None:
    if not waiting:
        return
    worker.task = waiting.popleft()
    with suppress(ConnectionError):  # it died while idle: the next wait finds its end of the pipe closed
        worker.pipe.send((worker.task, tasks[worker.task]))


def _serve(work: Callable[[Any], Any], pipe: Connection) -> None:
    """The life of a worker: tasks from the pipe until it closes, or until the parent is gone."""
    parent = parent_process()
    assert parent is not None  # a worker is started by one

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its workers
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # temporary folders are removed on the way out
    while True:
        try:
            index, task = pipe.recv()
        except (EOFError, ConnectionError):
            return
        pipe.send(attempt(work, task, index))
