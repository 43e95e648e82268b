"""L_all: what 1/f noise must cost does not depend on what a reduction made of the reference pixels."""

from dataclasses import replace

import numpy as np
import pytest

from uptheramp.calibrate.references.mask import Mask
from uptheramp.calibrate.settings import recipe
from uptheramp.scenarios.limit import by_references_alone, informed
from uptheramp.scenarios.reduced import Reduced
from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.scenarios.twin import pink_rendering
from uptheramp.simulate.ramps.render import build


def observed(label):
    scenario = find("quickstart")
    return replace(observation_of(scenario, next(b for b in scenario.mode if b.label == label)), nints=2)


def reduction(observation, table="recommended", **overrides):
    """What `informed` looks at."""
    chosen = recipe(table, observation.instrument.step_family, observation.mode.exp_type, overrides)
    names = Reduced.__dataclass_fields__
    library = {"mask": Mask(np.zeros(observation.shape, np.uint32))}
    return Reduced(**(dict.fromkeys(names) | {"recipe": chosen, "library": library}))


@pytest.fixture(scope="module")
def nircam():
    observation = observed("nircam_f322w2")
    return observation, build(observation)


def test_the_limit_is_the_same_for_every_use_of_the_sides(nircam):
    found = [
        informed(reduction(nircam[0], table, **settings), *nircam)
        for table, settings in (
            ("recommended", {}),
            ("jwst_3_0", {}),
            ("recommended", {"refpix.use_side_ref_pixels": "false"}),
            ("recommended", {"refpix.side_gain": "0.5"}),
        )
    ]
    for other in found[1:]:
        assert other.recipe.params["refpix"] == found[0].recipe.params["refpix"]
        for a, b in ((x.library["line_predictor"].line, found[0].library["line_predictor"].line) for x in (other,)):
            np.testing.assert_array_equal(a, b)
    predictor = found[0].library["line_predictor"]
    # after the ends, each output is told by its own side and half by the other; none gets more than its level
    assert predictor.line.shape == (4, 64, 128)
    total = np.asarray(predictor.line).sum(-1)
    assert (total[:, 20:] > 0.5).all() and (total < 1).all()


def test_only_reference_pixels_keep_their_read_noise(nircam):
    observation, constants = nircam
    data = pink_rendering(observation, constants)(0, 2).astype(float)
    dark = np.asarray(constants.maps.light) == 0
    # what a pixel adds to a difference of groups beyond the mean of 64 neighbours, which 1/f hardly touches
    difference = np.diff(data, axis=1)
    alone = (difference - difference.reshape(*difference.shape[:-1], 32, 64).mean(-1).repeat(64, -1)).std((0, 1))
    noise = np.asarray(constants.maps.read_noise_e / constants.maps.gain)
    assert np.median(alone[:4] / noise[:4]) == pytest.approx(2**0.5, rel=0.1)  # whole lines at the end
    assert np.median(alone[50:60, 4:-4]) < 0.3 * np.median(noise[50:60, 4:-4])
    assert dark[:4].all() and not dark[50:60, 4:-4].any()


@pytest.mark.parametrize("label", ["nirspec_prism", "miri_lrs"])
def test_windows_without_sides_are_left_as_they_are(label):
    observation = observed(label)
    reduced = reduction(observation)
    assert informed(reduced, observation, None) is reduced


def test_the_limit_goes_without_levels_from_the_image():
    """Of 1/f noise alone one_over_f would take out what the noise of those pixels never lets it see."""
    reduced = reduction(observed("nirspec_prism"))
    before, after = ([s.name for s in r.recipe.stage1] for r in (reduced, by_references_alone(reduced)))
    assert "one_over_f" in before
    assert after == [name for name in before if name != "one_over_f"]
