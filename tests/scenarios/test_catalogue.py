"""Every scenario of the package can be observed; quick ones differ from their originals in the orbit only."""

import tomllib
from dataclasses import replace

import pytest

from uptheramp.scenarios.scenario import catalogue, find, observation_of

FULL = [name for name in catalogue() if f"{name}-quick" in catalogue()]
LEAST = 60  # integrations in transit, and out of it


@pytest.mark.parametrize("name", catalogue())
def test_every_mode_can_be_observed(name):
    scenario = find(name)
    assert scenario.name == name
    for block in scenario.mode:
        o = observation_of(scenario, block)
        assert o.ngroups == block.ngroups
        assert o.mode.orders or o.mode.image


@pytest.mark.parametrize("name", FULL)
def test_quick_scenarios_keep_everything_but_the_orbit(name):
    full, quick = find(name), find(f"{name}-quick")
    assert (quick.star, quick.planet) == (full.star, full.planet)
    for one, other in zip(full.mode, quick.mode, strict=True):
        kept = replace(other, nints=one.nints, integrations_in_transit=one.integrations_in_transit)
        assert kept == one
        assert other.integrations_in_transit >= LEAST
        assert other.nints - other.integrations_in_transit >= LEAST
        assert observation_of(full, one).compression == 1


def test_ers_sizes_last_as_long_as_the_facts_say(shared):
    facts = tomllib.loads((shared / "facts" / "targets.toml").read_text())
    quoted = {}
    for entry in facts["scenario"]:
        quoted[(entry["subarray"], entry["ngroups"], entry["nints"])] = entry["duration_h_computed"]
    found = 0
    for name in FULL:
        scenario = find(name)
        for block in scenario.mode:
            hours = quoted[(block.subarray, block.ngroups, block.nints)]
            # the last integration is followed by no reset
            assert observation_of(scenario, block).duration_s / 3600 == pytest.approx(hours, rel=2e-3)
            found += 1
    assert found >= len(FULL) > 10
