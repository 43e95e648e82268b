"""What every engine runs: a task to its results, with what they cost."""

import os
import platform
import resource
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from time import perf_counter, process_time

from uptheramp.scenarios import cache as programs
from uptheramp.scenarios import rates, recover
from uptheramp.scenarios.identity import code
from uptheramp.scenarios.recover import Answer
from uptheramp.scenarios.store.rows import Result
from uptheramp.scenarios.task import Task

LEVELS: Mapping[str, Callable[[Task], list[Answer]]] = {"spectrum": recover.answers, "rate": rates.answers}


def work(task: Task) -> list[Result]:
    """Answer all cases of a task; the cost of the task is shared evenly among them."""
    programs.enable()
    started, wall, cpu = datetime.now(UTC).isoformat(timespec="milliseconds"), perf_counter(), process_time()
    answers = LEVELS[task.level](task)
    share = 1.0 / len(task.asked)
    return [
        Result(
            case=asked.case,
            seed=task.seed,
            mirror=task.mirror,
            code=code(),
            grade=asked.scenario.reduction.references,
            references=answer.references,
            records=answer.records,
            arrays=answer.arrays,
            machine=machine(),
            started=started,
            wall_s=(perf_counter() - wall) * share,
            cpu_s=(process_time() - cpu) * share,
            peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )
        for asked, answer in zip(task.asked, answers, strict=True)
    ]


@cache
def machine() -> dict[str, str]:
    """Where it runs, as far as figures and costs depend on it."""
    return {
        "processor": programs.processor(),
        "cores": str(os.cpu_count()),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("jax", "numpy", "scipy", "equinox", "jaxoplanet")},
    }
