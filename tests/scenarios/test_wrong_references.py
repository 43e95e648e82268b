"""A scenario says which of its references err."""

import pytest
from astropy.io import fits

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios.made_references import made
from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.scenarios.task import ask
from uptheramp.simulate.calibration import wrong
from uptheramp.simulate.ramps.render import build

SMALL = {"mode.nints": 70, "mode.integrations_in_transit": 60.0}


def case(values):
    scenario = find("quickstart", SMALL | values)
    block = scenario.mode[0]
    return ask(scenario, block, "spectrum"), observation_of(scenario, block)


def test_cases_with_other_errors_have_other_references():
    named = [{"reduction.references": "wrong", "reduction.wrong": types} for types in (["gain"], ["dark"])]
    cases = [case(values) for values in ({}, *named)]
    assert len({asked.case.id for asked, _ in cases}) == 3
    constants = build(cases[0][1])
    folders, ids = zip(*(made(asked, observation, constants) for asked, observation in cases), strict=True)
    assert len(set(ids)) == len(set(folders)) == 3
    for name, off in (("gain", 1), ("dark", 2)):
        data = [fits.getdata(folder / f"nirspec_nrs1_{name}.fits", "SCI") for folder in folders]
        assert [bool((d == data[0]).all()) for d in data] == [number != off for number in range(3)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"reduction.references": "wrong", "reduction.wrong": ["gian"]}, "unknown type 'gian'; known: mask, "),
        ({"reduction.wrong": ["gain"]}, "does nothing unless reduction.references"),
    ],
)
def test_senseless_choices_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        find("quickstart", values)


def test_every_error_has_a_name():
    assert set(wrong.ERRORS) < set(wrong.NAMES)
    assert len(set(wrong.NAMES)) == len(wrong.NAMES)
