"""What moves the light, and other stars, as a scenario asks for them."""

import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.simulate.scene.field import FieldStar

TEXT = """
inherit = "quickstart"
name = "moving"

[[mode]]
mode = "nircam_image_f444w"
ngroups = 3
nints = 100
effects_on = ["pointing"]

[mode.effects.pointing]
{knob}

[[mode.effects.pointing.tilt]]
at_s = 5.0
flux = -1e-3

[mode.effects.flat]
subpixel = 0.1

[[mode.field_star]]
k_mag = 13.0
offset_px = [12.0, -7.0]
"""


@pytest.fixture
def asked(tmp_path):
    def observation(knob):
        path = tmp_path / "moving.toml"
        path.write_text(TEXT.format(knob=knob))
        scenario = find(str(path))
        return observation_of(scenario, scenario.mode[0])

    return observation


def test_knobs_reach_the_observation(asked):
    observation = asked("jitter_mas = 2.0")
    settings = observation.settings_of("pointing")
    assert settings.jitter_mas == 2.0
    assert [event.flux for event in settings.tilt] == [-1e-3]
    assert "pointing" in observation.effects
    assert observation.subpixel == 0.1
    assert observation.field_stars == (FieldStar(13.0, (12.0, -7.0)),)


@pytest.mark.parametrize(
    ("knob", "message"),
    [
        ("jitter_max = 2.0", "jitter_mas"),
        ("wander_s = 0.0", "positive"),
        ('drift_mas_per_h = "fast"', "drift_mas_per_h"),
    ],
)
def test_wrong_knobs_are_refused_in_one_line(asked, knob, message):
    with pytest.raises(InputError, match=message) as caught:
        asked(knob)
    assert "\n" not in str(caught.value)
