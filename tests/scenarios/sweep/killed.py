"""A sweep whose tasks only wait, to be killed: `python killed.py STORE LOG RUN TASKS WORKERS`.

Every finished task appends `RUN seed` to the log. A worker that finds the file LOG.die dies on the task whose seed is
written in it.
"""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from uptheramp.scenarios.identity import Code
from uptheramp.scenarios.store.rows import Case, Result
from uptheramp.validate.record import Record

CODE = Code("stub", "0", "")
CASES = tuple(Case(f"case-{i}", "stub", "stub", "rate", {}) for i in range(2))


def work(task):
    log, run = Path(os.environ["KILLED_LOG"]), os.environ["KILLED_RUN"]
    fatal = log.with_suffix(".die")
    if fatal.is_file() and fatal.read_text() == str(task.seed):
        os.kill(os.getpid(), signal.SIGKILL)
    rng = np.random.default_rng(task.seed)
    time.sleep(0.02 + 0.06 * rng.random())
    with log.open("a") as stream:
        stream.write(f"{run} {task.seed}\n")
    record = [Record(name="draw", value=float(rng.normal()), unit="", definition="a draw")]
    array = {"values": rng.normal(size=2000)}
    values = {"grade": "none", "references": "none", "records": tuple(record), "arrays": array}
    return [Result(case=a.case, seed=task.seed, mirror=False, code=CODE, **values) for a in task.asked]


def main():
    store, log, run, count, workers = sys.argv[1:]
    os.environ |= {"KILLED_LOG": log, "KILLED_RUN": run}
    from uptheramp.scenarios.store.rows import StoredSweep
    from uptheramp.scenarios.store.store import Store
    from uptheramp.scenarios.sweep.drive import drive
    from uptheramp.scenarios.sweep.jobs import Plan
    from uptheramp.scenarios.sweep.processes import Processes
    from uptheramp.scenarios.task import Asked, Task

    asked = tuple(Asked(case, None, None) for case in CASES)
    tasks = tuple(Task(asked, "rate", seed) for seed in range(int(count)))
    plan = Plan(StoredSweep("stub", "", {}, ()), asked, tasks)
    end = drive(plan, Store(store), Processes(int(workers)), CODE.source, work, lambda *_: None)
    sys.stdout.write(f"made {end.made} found {end.found} failed {len(end.failed)}\n")


if __name__ == "__main__":
    main()
