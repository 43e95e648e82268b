"""`dashboard --check` on rows drawn from the statistics: planted errors are caught, unchanged code is not accused."""

import sys

import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios.cli import main
from uptheramp.scenarios.dashboard.check import check
from uptheramp.scenarios.store.store import Store
from uptheramp.validate.metrics.regression import BETTER, WORSE

PLANTED = {
    "20 ppm": ({"bias_ppm": 20.0}, {"mean_bias"}),
    "-20 ppm": ({"bias_ppm": -20.0}, {"mean_bias"}),
    "errors 5 % small": ({"claimed": 0.95}, {"pull_variance"}),
    "errors 5 % large": ({"claimed": 1.05}, {"pull_variance"}),
    "2 % scatter": ({"scatter": 1.02}, {"out_of_transit_rms"}),
}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store.sqlite")


def shell(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["uptheramp", "dashboard", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code, capsys.readouterr()


@pytest.mark.parametrize("name", PLANTED)
def test_planted_errors_are_caught_in_every_mode(store, synthetic, name):
    """Fifty paired seeds; with a twentieth of the noise power drawn anew, as a change of an algorithm does."""
    planted, expected = PLANTED[name]
    synthetic.fill(store, 0)
    synthetic.fill(store, 1, synthetic.Planted(reshuffled=0.05**0.5 if "bias_ppm" in planted else 0.0, **planted))
    found = check(store)
    for mode in ("prism", "nircam", "miri"):
        assert {f.metric for f in found.flagged if f.case.mode == mode} == expected
    if "bias_ppm" in planted:  # antitheses know the side
        assert {f.move.verdict for f in found.flagged} == {WORSE}
        smallest = max(f.move.detectable for f in found.findings if f.metric == "mean_bias")
        assert smallest < 20.0  # the power that is claimed
    back = Store(store.path.with_name("back.sqlite"))
    synthetic.fill(back, 0, synthetic.Planted(**planted))
    synthetic.fill(back, 1)
    if "claimed" not in planted:  # which side error bars of 5 % are on takes more than fifty seeds of 40 bins
        assert not check(back).flagged
        assert expected == {f.metric for f in check(back).findings if f.move.verdict == BETTER}


def test_ten_repeats_with_new_seeds_are_not_accused(store, synthetic):
    """Chance that any of the ten is: 10 %; the draws are fixed, so this holds or does not."""
    synthetic.fill(store, 0, seeds=range(1, 21))
    for repeat in range(1, 11):
        synthetic.fill(store, repeat, seeds=range(100 * repeat, 100 * repeat + 20))
        found = check(store)
        assert found.after == synthetic.version(repeat)
        assert len(found.findings) == 3 * 7
        assert not any(f.move.difference.paired for f in found.findings)
        assert not found.flagged, repeat


def test_the_same_answers_again_and_old_versions(store, synthetic):
    synthetic.fill(store, 0, synthetic.Planted(bias_ppm=20.0), seeds=range(1, 13), modes=("prism",))
    synthetic.fill(store, 1, seeds=range(1, 13), modes=("prism",))
    synthetic.fill(store, 2, synthetic.Planted(bias_ppm=20.0), seeds=range(1, 13), modes=("prism",))
    assert {f.metric for f in check(store).flagged} == {"mean_bias"}
    assert not check(store, against="c0ffee00").flagged
    with pytest.raises(InputError, match="no earlier version of the code named beef"):
        check(store, against="beef")


def test_on_the_shell(store, synthetic, monkeypatch, capsys, tmp_path):
    code, text = shell(monkeypatch, capsys, "-o", tmp_path / "site", "--store", tmp_path / "none.sqlite")
    assert code == 2
    assert "no such store" in text.err
    synthetic.fill(store, 0, seeds=range(1, 9), modes=("prism",))
    words = ("-o", tmp_path / "site", "--store", store.where, "--check")
    code, text = shell(monkeypatch, capsys, *words)
    assert (code, "0 figures compared" in text.out) == (0, True)
    synthetic.fill(store, 1, synthetic.Planted(bias_ppm=20), seeds=range(1, 9), modes=("prism",))
    code, text = shell(monkeypatch, capsys, *words)
    assert code == 1
    assert "mean_bias: worse by 20 ± " in text.out
    assert (tmp_path / "site" / "index.html").is_file()
