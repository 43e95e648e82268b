"""The two levels at which a task answers, on tiny exposures; cases of a task do not disturb each other."""

from dataclasses import replace

import numpy as np
import pytest

from uptheramp.scenarios import rates
from uptheramp.scenarios.dashboard.check import check
from uptheramp.scenarios.identity import Code
from uptheramp.scenarios.scenario import find
from uptheramp.scenarios.store.store import Store
from uptheramp.scenarios.task import Task, ask, exposure_id
from uptheramp.scenarios.work import work

SHORT = {"mode.subarray": "SUB512S", "mode.nints": 4, "mode.ngroups": 4, "mode.integrations_in_transit": 0.0}


def asked(level, values, **reduction):
    scenario = find("quickstart", values)
    scenario = replace(scenario, reduction=replace(scenario.reduction, **reduction), mode=scenario.mode[:1])
    return ask(scenario, scenario.mode[0], level)


@pytest.fixture(scope="module")
def both():
    """One exposure judged at rate level with two grades of references."""
    cases = tuple(asked("rate", SHORT, references=grade) for grade in ("oracle", "wrong"))
    assert len({exposure_id(c) for c in cases}) == 1
    return cases, work(Task(cases, "rate", 3))


def test_rates_of_a_perfect_detector_are_at_the_bound(both):
    _, (oracle, _) = both
    # 4 integrations of some 7000 pixels; 1/f noise comes on top of the bound (Poisson and read noise)
    assert 0.97 < oracle.value("rate_noise_all") < 1.15
    assert oracle.value("rate_lost") < 0.02
    assert 0.97 < oracle.value("rate_error") < 1.05
    assert oracle.arrays["flux_count"].sum() > 1e4


def test_wrong_references_show(both):
    _, (oracle, wrong) = both
    assert wrong.grade == "wrong"
    assert abs(wrong.value("rate_bias_bright")) > 5 * abs(oracle.value("rate_bias_bright"))


def test_a_case_gets_the_same_alone_as_in_company(both):
    cases, (_, wrong) = both
    (alone,) = work(Task(cases[1:], "rate", 3))
    assert alone.records == wrong.records
    for name, values in wrong.arrays.items():
        np.testing.assert_array_equal(alone.arrays[name], values)


def test_an_error_planted_in_real_rows_is_caught_and_no_error_is_not(both, tmp_path):
    """The references of one version of the code are wrong; the question, its seeds and its noise are the same."""
    cases, first = both
    pairs = [first, *(work(Task(cases, "rate", seed)) for seed in range(4, 9))]
    oracle, wrong = ([pair[i] for pair in pairs] for i in (0, 1))
    for name, after, flagged in (("wrong", wrong, True), ("same", oracle, False)):
        store = Store(tmp_path / f"{name}.sqlite")
        store.add(oracle)
        store.add(replace(r, case=oracle[0].case, code=Code("later", "0", "later"), started="9999") for r in after)
        found = {f.metric for f in check(store).flagged}
        assert ("rate_bias_bright" in found) == flagged
        assert bool(found) == flagged


def test_the_planet_is_dark(both):
    (case, _), _ = both
    observation = rates.constant(rates.observation_of(case.scenario, case.block))
    assert set(observation.planet.radius_ratio.y) == {0.0}


def test_a_spectrum_with_its_twin_and_its_antithesis():
    # shapes of test_files_to_planet.py, so that programs are compiled once for both
    values = {"subarray": "SUB512S", "nints": 40, "integrations_in_transit": 16.0, "resolving_power": 5.0}
    case = asked("spectrum", {f"mode.{key}": value for key, value in values.items()} | {"mode.range_um": [0.9, 5.0]})
    task = Task((case,), "spectrum", 1, twin=True)
    (plain,), (mirror,) = work(task), work(replace(task, mirror=True, twin=False))
    error = plain.arrays["depth"] - plain.arrays["truth"]
    sigma = np.sqrt(plain.arrays["covariance"].diagonal())
    assert np.all(np.abs(error) < 5 * sigma)
    # what noise does to the depths is odd in the noise but for second order: pairs are far quieter than their halves
    pair = (plain.value("mean_bias") + mirror.value("mean_bias")) / 2
    assert abs(pair) < 0.3 * max(abs(plain.value("mean_bias")), abs(mirror.value("mean_bias")))
    assert abs(plain.value("mean_bias_algorithmic")) < 0.05 * plain.value("depth_error")
    assert "twin" in plain.arrays
    assert "twin" not in mirror.arrays
    assert mirror.value("mean_bias_algorithmic") is None
    assert len(plain.references) == 20
    assert plain.references == mirror.references
    assert plain.wall_s > 0
    assert plain.machine["jax"]
