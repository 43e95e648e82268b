"""Reading ahead and writing behind: a thread serves the disk while the programs compute, one item at a time."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items of an iterator while a thread works on the next one."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, items, None)
        while (item := waiting.result()) is not None:
            waiting = pool.submit(next, items, None)
            yield item


class Behind:
    """Work done in a thread, in order: handing on an item waits until the one before is done, so memory is bounded.

    Leaving the `with` block waits for the last item; an error of the work is raised where the next item is handed on.
    """

    def __init__(self, work: Callable[..., None]):
        self._work, self._pool = work, ThreadPoolExecutor(1)
        self._last: Future[None] | None = None

    def __enter__(self) -> "Behind":
        return self

    def __call__(self, *item: Any) -> None:
        """Hand on an item: the arguments of the work."""
        self._wait()
        self._last = self._pool.submit(self._work, *item)

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        if kind is None:
            self._wait()
