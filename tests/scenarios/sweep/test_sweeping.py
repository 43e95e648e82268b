"""`uptheramp sweep` on the shell, with an answer that costs nothing in place of a simulation."""

import sys

import numpy as np
import pytest

from uptheramp.scenarios import sweeping
from uptheramp.scenarios.cli import main
from uptheramp.scenarios.identity import code
from uptheramp.scenarios.store.rows import Result
from uptheramp.scenarios.store.store import Store
from uptheramp.validate.record import Record

SWEEP = """
name = "stub"
summary = "A sweep whose answers are drawn."
scenario = "quickstart"
level = "rate"
modes = ["miri_lrs"]
seeds = 4
[[knob]]
key = "jump.rejection_threshold"
values = [3.0, 5.0]
"""
NAMES = ("rate_bias_all", "rate_rms_all", "rate_noise_all")


def drawn(task):
    if task.seed == 13:
        raise MemoryError("too large")
    rng = np.random.default_rng(task.seed)
    values = {name: 1 + 0.1 * rng.normal() for name in NAMES}
    out = []
    for one in task.asked:
        worse = 0.5 * (one.scenario.reduction.parameters["jump.rejection_threshold"] == "5.0")
        records = tuple(Record(name=n, value=v + worse, unit="", definition="drawn") for n, v in values.items())
        made = {"grade": "estimated", "references": "none", "records": records, "started": "2026"}
        out.append(Result(case=one.case, seed=task.seed, mirror=task.mirror, code=code(), **made))
    return out


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sweeping, "work", drawn)
    (tmp_path / "stub.toml").write_text(SWEEP)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["uptheramp", "sweep", *map(str, words), "--engine", "serial"])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, " ".join(capsys.readouterr().err.split())

    return run


def test_run_again_report_and_table(shell, tmp_path):
    store, file = tmp_path / "out" / "store.sqlite", tmp_path / "stub.toml"
    end, text = shell(file, "--store", store, "-o", tmp_path / "report", "--table", tmp_path / "docs" / "stub.md")
    assert end == 0
    assert "stub: 8 results made, 0 were there, 0 tasks failed" in text
    assert "jump.rejection_threshold 5.0" in (tmp_path / "report" / "sweep-stub.html").read_text()
    table = (tmp_path / "docs" / "stub.md").read_text()
    assert "uptheramp sweep" in table
    assert "| jump.rejection_threshold 5.0 | 4 | reported | worse (" in table
    end, text = shell(file, "--store", store, "--seeds", "6")
    assert "4 results made, 8 were there" in text
    assert len(Store(store, new=False).results()) == 12


def test_a_task_that_fails_is_named_and_the_rest_is_kept(shell, tmp_path):
    store, file = tmp_path / "store.sqlite", tmp_path / "stub.toml"
    file.write_text(SWEEP.replace("seeds = 4", "seeds = 3\nfirst_seed = 12"))
    end, text = shell(file, "--store", store)
    assert end == 1
    assert "failed: miri_lrs seed 13: MemoryError: too large" in text
    assert sorted({r.seed for r in Store(store).results()}) == [12, 14]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nothing",), "no such sweep file"),
        (("rates", "--seeds", "0"), "--seeds 0: give at least 1"),
        (("rates", "--workers", "0"), "--workers 0: give at least 1"),
        (("rates", "--mode", "miri"), "has no mode 'miri'"),
    ],
)
def test_bad_input_makes_no_store(shell, tmp_path, words, says):
    end, text = shell(*words, "--store", tmp_path / "store.sqlite")
    assert end == 2
    assert says in text
    assert not (tmp_path / "store.sqlite").exists()
