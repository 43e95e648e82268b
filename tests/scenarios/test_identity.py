"""Ids of cases: the same question has the same id for ever, another question another one."""

from dataclasses import dataclass, fields, replace

import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios import layers
from uptheramp.scenarios.identity import case_id, code, question
from uptheramp.scenarios.scenario import ReductionBlock, Scenario, find

PINNED = """
name = "pinned"
summary = "never change this text"
[star]
teff_k = 5000.0
k_mag = 11.0
[planet]
period_d = 4.0
a_rs = 11.0
inclination_deg = 88.0
radius_ratio = { x = [0.5, 12.0], y = [0.15, 0.14] }
u1 = { x = [0.5, 12.0], y = [0.1, 0.1] }
u2 = { x = [0.5, 12.0], y = [0.1, 0.1] }
[reduction]
parameters = { "jump.rejection_threshold" = "5", "ipc.skip" = "true" }
[[mode]]
mode = "nirspec_prism"
ngroups = 5
nints = 20
range_um = [0.7, 5.2]
"""


def test_an_id_given_once_is_given_for_ever(tmp_path):
    """If this fails, the meaning of all ids has changed: a default, or the way of hashing."""
    (tmp_path / "pinned.toml").write_text(PINNED)
    scenario = find(str(tmp_path / "pinned.toml"))
    assert case_id(scenario, scenario.mode[0], "spectrum") == "7da01a25d1ef9e3279b5"


def test_names_and_seeds_do_not_matter_and_values_do():
    scenario = find("quickstart")
    block = scenario.mode[0]
    same = replace(scenario, name="another", summary="", seed=99)
    assert case_id(same, replace(block, label="x"), "spectrum") == case_id(scenario, block, "spectrum")
    changed = [
        case_id(scenario, block, "rate"),
        case_id(scenario, replace(block, ngroups=6), "spectrum"),
        case_id(replace(scenario, detector_seed=2), block, "spectrum"),
        case_id(replace(scenario, star=replace(scenario.star, teff_k=5000.0)), block, "spectrum"),
        case_id(replace(scenario, reduction=ReductionBlock(references="oracle")), block, "spectrum"),
    ]
    assert len({*changed, case_id(scenario, block, "spectrum")}) == 6


def test_a_parameter_is_what_it_means_not_how_it_is_typed():
    scenario = find("quickstart")

    def of(parameters):
        reduction = replace(scenario.reduction, parameters=parameters)
        return case_id(replace(scenario, reduction=reduction), scenario.mode[0], "spectrum")

    assert of({"jump.rejection_threshold": "5"}) == of({"jump.rejection_threshold": "5.0"})
    assert of({"jump.rejection_threshold": "5"}) != of({"jump.rejection_threshold": "6"})
    assert of({"ipc.skip": "True"}) == of({"ipc.skip": "true"})
    assert of(None) == of({})


def test_a_key_that_comes_later_leaves_ids_alone():
    @dataclass(frozen=True)
    class Later(Scenario):
        novelty: float = 1.0

    scenario = find("quickstart")
    later = Later(**{f.name: getattr(scenario, f.name) for f in fields(scenario)})
    block = scenario.mode[0]
    assert case_id(later, block, "spectrum") == case_id(scenario, block, "spectrum")
    assert case_id(replace(later, novelty=2.0), block, "spectrum") != case_id(scenario, block, "spectrum")
    assert question(later, block, "spectrum", full=True)["novelty"] == 1.0


def test_code_is_known():
    assert len(code().source) == 20


def test_layers(tmp_path):
    (tmp_path / "mine.toml").write_text('inherit = "quickstart"\nname = "mine"\n[star]\nk_mag = 9.0\n')
    scenario, base = find(str(tmp_path / "mine.toml")), find("quickstart")
    assert (scenario.star.k_mag, scenario.star.teff_k) == (9.0, base.star.teff_k)
    assert scenario.mode == base.mode
    turned = find("quickstart", {"mode.ngroups": 7, "reduction.references": "oracle"})
    assert {b.ngroups for b in turned.mode} == {7}
    assert turned.reduction.references == "oracle"
    with pytest.raises(InputError, match="unknown key mode\\[0\\].ngroup, did you mean ngroups"):
        find("quickstart", {"mode.ngroup": 7})
    with pytest.raises(InputError, match="expected a number"):
        find("quickstart", {"star.k_mag": "bright"})
    (tmp_path / "a.toml").write_text('inherit = "b.toml"\n')
    (tmp_path / "b.toml").write_text('inherit = "a.toml"\n')
    with pytest.raises(InputError, match="inherits from itself"):
        find(str(tmp_path / "a.toml"))
    with pytest.raises(InputError, match="name is a value, not a table"):
        layers.with_value({"name": 1}, "name.x", 2)
