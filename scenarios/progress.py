"""Progress on long work: one bar per stage of a mode, on stderr, quiet when that is not a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def bars(prefix: str, unit: str = "integrations") -> Iterator[Callable[[str, int, int], None]]:
    """Give a callback `(stage, done, total)`; stages appear as bars in the order in which they start."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<30}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, object] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(f"{prefix} {stage}", total=total)
                if not console.is_terminal:
                    console.print(f"{prefix} {stage}: {total} {unit}", highlight=False)
            progress.update(tasks[stage], completed=done)

        yield report
