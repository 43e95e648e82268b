import pytest

from uptheramp.calibrate.instruments.core import Curve
from uptheramp.simulate.observation import observe
from uptheramp.simulate.ramps import render
from uptheramp.simulate.scene.planet import Planet
from uptheramp.simulate.scene.star import Star


def constant(value):
    return Curve((0.5, 13.0), (value, value))


@pytest.fixture(scope="session")
def planet():
    return Planet(
        period_d=4.0553,
        a_rs=11.39,
        inclination_deg=87.7369,
        radius_ratio=Curve((0.5, 3.0, 5.0, 13.0), (0.14, 0.15, 0.145, 0.15)),
        u1=constant(0.1),
        u2=constant(0.15),
    )


@pytest.fixture(scope="session")
def small(planet):
    """Return a function that makes a small PRISM exposure; keywords override."""

    def make(**keywords):
        defaults = {
            "ngroups": 3,
            "nints": 6,
            "star": Star(11.5, 5485.0),
            "planet": planet,
            "subarray": "SUB512S",
            "compression": 500.0,
        }
        return observe("nirspec_prism", **(defaults | keywords))

    return make


@pytest.fixture(scope="session")
def everything_on(small):
    """Return an observation with all effects, its constants and its ramps in one chunk."""
    observation = small()
    constants = render.build(observation)
    data, memory, truth = render.draw_chunk(observation, constants, 0, observation.nints)
    return observation, constants, data, memory, truth
