"""Engines run every task once whatever dies, and give the same; a sweep that is killed goes on where it was."""

import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios.store.store import Store
from uptheramp.scenarios.sweep.drive import alone
from uptheramp.scenarios.sweep.engine import engine
from uptheramp.scenarios.sweep.processes import Processes
from uptheramp.scenarios.sweep.serial import Serial

SCRIPT = Path(__file__).with_name("killed.py")
TASKS = 60


def start(store, log, run, workers=2):
    words = [sys.executable, str(SCRIPT), str(store), str(log), str(run), str(TASKS), str(workers)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def rows(store):
    found = Store(store, new=False).results() if Path(store).is_file() else []
    return {(r.case.id, r.seed): (r.value("draw"), r.arrays["values"].tobytes()) for r in found}


def parent_of(pid):
    """Parent of a process, None where it is gone or only waits to be collected."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)


def children(pid):
    numbers = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]
    found = [n for n in numbers if parent_of(n) == pid]
    return [n for n in found if b"spawn_main" in Path(f"/proc/{n}/cmdline").read_bytes()]


def alive(pid):
    return parent_of(pid) is not None


def finished_by(log, run):
    lines = log.read_text().splitlines() if log.is_file() else []
    return [int(line.split()[1]) for line in lines if line.split()[0] == str(run)]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for workers in /proc")
def test_killed_at_random_ten_times_the_rows_are_those_of_an_undisturbed_sweep(tmp_path):
    calm = start(tmp_path / "calm.sqlite", tmp_path / "calm.log", 0)
    calm.communicate(timeout=120)
    expected = rows(tmp_path / "calm.sqlite")
    assert len(expected) == 2 * TASKS
    rng, store, log = random.Random(5), tmp_path / "store.sqlite", tmp_path / "log"
    kills, run = {"main": 0, "worker": 0}, 0
    while sum(kills.values()) < 10:
        run += 1
        before = rows(store)
        main = start(store, log, run)
        until = time.monotonic() + 60
        while len(finished_by(log, run)) < rng.randint(1, 4) and main.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        workers = children(main.pid)
        for _ in range(rng.randint(0, 1)):
            if workers and main.poll() is None:
                os.kill(rng.choice(workers), signal.SIGKILL)
                kills["worker"] += 1
                time.sleep(rng.uniform(0, 0.3))
        workers = children(main.pid)
        if main.poll() is None:
            main.send_signal(signal.SIGKILL)
            kills["main"] += 1
        main.communicate(timeout=120)
        assert {seed for _, seed in before}.isdisjoint(finished_by(log, run))  # nothing kept is done again
        assert before.items() <= rows(store).items()  # nothing kept is lost or changed
        until = time.monotonic() + 10
        while any(alive(pid) for pid in workers) and time.monotonic() < until:
            time.sleep(0.02)
        assert not any(alive(pid) for pid in workers)  # workers do not outlive their parent
    assert kills["worker"] > 1
    assert kills["main"] > 1
    last = start(store, log, "last")
    text, errors = last.communicate(timeout=120)
    assert "failed 0" in text, errors
    assert rows(store) == expected
    again = start(store, log, "again")
    assert f"made 0 found {2 * TASKS}" in again.communicate(timeout=120)[0]
    assert not finished_by(log, "again")


def test_a_task_that_kills_its_workers_fails_alone(tmp_path):
    (tmp_path / "log.die").write_text("7")
    main = start(tmp_path / "store.sqlite", tmp_path / "log.txt", 1)
    text, errors = main.communicate(timeout=120)
    assert f"made {2 * TASKS - 2} found 0 failed 1" in text, errors
    assert {seed for _, seed in rows(tmp_path / "store.sqlite")} == set(range(TASKS)) - {7}


def test_engines_give_the_same_and_report_what_fails():
    tasks = [4.0, -1.0, 0.25]
    by_engine = [sorted(e.run(math.sqrt, tasks)) for e in (Serial(), Processes(2))]
    assert by_engine[0] == by_engine[1]
    assert by_engine[0][1] == (1, None, "ValueError: math domain error")
    with pytest.raises(InputError, match="unknown engine 'proceses', did you mean processes"):
        engine("proceses", 2)
    with pytest.raises(InputError, match="give at least 1"):
        engine("serial", 0)


def test_one_sweep_is_not_run_twice_at_once(tmp_path):
    store = Store(tmp_path / "store.sqlite")
    with alone(store, "a"):
        with pytest.raises(InputError, match="already running"), alone(store, "a"):
            pass
        with alone(store, "b"):
            pass
    with alone(store, "a"):
        pass
