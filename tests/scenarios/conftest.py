"""Small exposures on disk that several files of tests reduce."""

from dataclasses import replace

import pytest

from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.simulate.ramps import level1b, references
from uptheramp.simulate.ramps.render import build


def exposure(folder, **changes):
    scenario = find("quickstart")
    block = replace(scenario.mode[0], subarray="SUB512S", nints=40, integrations_in_transit=16.0, **changes)
    observation = observation_of(scenario, block)
    constants = build(observation)
    files = level1b.write(observation, folder, constants=constants, integrations_per_segment=25)
    references.write(observation, constants, folder, grades=("estimated",))
    return observation, files, folder / "references" / "estimated"


@pytest.fixture(name="make_exposure")
def make_exposure_fixture():
    return exposure


@pytest.fixture(scope="session")
def two_segments(tmp_path_factory):
    """The observation of 40 PRISM integrations with a transit, its two files, its references."""
    return exposure(tmp_path_factory.mktemp("two-segments"))
