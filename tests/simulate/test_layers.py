"""Layers of the ramps agree with the exposure they are of."""

import numpy as np
import pytest
from astropy.io import fits

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.simulate import truth
from uptheramp.simulate.ramps import layers, level1b, render
from uptheramp.simulate.scene.star import Star


@pytest.fixture(scope="module")
def told(small, tmp_path_factory):
    """Return an observation with a saturating core, its constants, and the layers of two of its integrations."""
    observation = small(nints=4, ngroups=4, star=Star(10.0, 5485.0))
    constants = render.build(observation)
    folder = tmp_path_factory.mktemp("layers")
    level1b.write(observation, folder, constants=constants, truth_integrations=2)
    return observation, constants, layers.load(folder / "truth"), folder


def test_the_mean_charge_is_the_rate_times_the_time(told):
    observation, constants, kept, _ = told
    assert kept.charge_e.shape == (2, observation.ngroups, *observation.shape)
    step = np.diff(kept.charge_e[0], axis=0) / observation.subarray.frame_time_s
    rate = (
        sum(s.profile * s.response(s.photons) for s in constants.spectra) + constants.background
    ) * constants.maps.flat
    rate = (rate + constants.maps.dark_e_per_s) * constants.maps.light
    assert step[0] == pytest.approx(np.asarray(rate), rel=2e-3, abs=0.5)  # the star varies little out of transit


def test_drawn_charge_scatters_as_poisson_says(told):
    _, _, kept, _ = told
    steps = np.diff(kept.poisson_e, axis=1, prepend=0) - np.diff(kept.charge_e, axis=1, prepend=0)
    expected = np.diff(kept.charge_e, axis=1, prepend=0)
    lit = expected > 20
    pull = steps[lit] / np.sqrt(expected[lit])
    assert abs(pull.mean()) < 4 / np.sqrt(lit.sum())
    assert pull.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * lit.sum()))


def test_a_layer_is_the_exposures_own_draw(told, small):
    observation, constants, kept, folder = told
    again = layers.draw(observation, constants, ("poisson", *layers.COLLECTED), 1, 1) * np.asarray(constants.maps.gain)
    assert again[0] == pytest.approx(kept.poisson_e[1], rel=1e-5, abs=0.01)
    # what is read minus the noiseless ramp is mostly the Poisson layer, where the well is half empty and nothing jumps
    with fits.open(folder / "nirspec_prism-seg001_uncal.fits") as hdus:
        raw = np.asarray(hdus["SCI"].data[:2], float)
    quiet = (kept.groupdq == 0) & (kept.charge_e > 5000) & (kept.charge_e < 0.4 * float(constants.maps.well_e))
    residual = (raw - kept.noiseless_dn)[quiet]
    poisson = ((kept.poisson_e - kept.charge_e) / constants.maps.gain)[quiet]
    assert np.corrcoef(residual, poisson)[0, 1] > 0.8


def test_flags_say_where_the_well_was_full_and_what_was_hit(told):
    _, constants, kept, folder = told
    full = kept.poisson_e > 1.05 * float(constants.maps.well_e)
    far = kept.poisson_e < 0.8 * float(constants.maps.well_e)
    saturated = (kept.groupdq & flags.SATURATED) != 0
    assert full.any() and saturated[full].all()
    hit = (kept.groupdq & flags.JUMP_DET) != 0
    assert (
        saturated & far & ~np.logical_or.accumulate(hit, axis=1)
    ).mean() < 1e-3  # hits in the first group are no jumps
    rays = truth.load(folder / "truth").cosmic_rays
    mine = rays[(rays["integration"] < 2) & (rays["frame"] > 0)]
    assert hit.sum() == len(np.unique(mine[["integration", "frame", "y", "x"]])) > 0
    dq = kept.pixeldq
    assert (((dq & flags.HOT) != 0) == constants.maps.hot).all()


def test_a_folder_without_layers_is_refused(tmp_path):
    with pytest.raises(InputError, match="truth_integrations"):
        layers.load(tmp_path)
