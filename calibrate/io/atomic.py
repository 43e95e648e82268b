"""Files appear whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def partial(path: Path) -> Path:
    """Where a file lies while it is being written."""
    return path.with_name(f".partial-{path.name}")


@contextmanager
def whole(path: Path, *, resumable: bool = False) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` on success, delete it on any error.

    `resumable`: what has been written when the user stops the work is kept for the next time.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = partial(path)
    try:
        yield temporary
        temporary.replace(path)
    except Exception:
        temporary.unlink(missing_ok=True)
        raise
    except BaseException:
        if not resumable:
            temporary.unlink(missing_ok=True)
        raise
