"""Layers of the ramps agree with the exposure they are of."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Curve
from uptheramp.simulate import truth
from uptheramp.simulate.ramps import layers, level1b, render
from uptheramp.simulate.scene.star import Star

# few effects, so that little is compiled
EFFECTS = ("flat", "dark", "reference_pixels", "poisson", "cosmic_rays", "saturation", "superbias", "read_noise", "adc")


@pytest.fixture(scope="module")
def told(small, planet, tmp_path_factory):
    """Return an observation with a saturating core, its constants, the layers of its integrations, and the folder."""
    alone = replace(planet, radius_ratio=Curve((0.5, 13.0), (0.0, 0.0)))
    observation = small(nints=2, ngroups=4, star=Star(10.0, 5485.0), planet=alone, effects=EFFECTS)
    constants = render.build(observation)
    folder = tmp_path_factory.mktemp("layers")
    level1b.write(observation, folder, constants=constants, truth_integrations=5)
    return observation, constants, layers.load(folder / "truth"), folder


def test_the_mean_charge_is_the_rate_times_the_time(told):
    observation, _, kept, folder = told
    assert kept.charge_e.shape == (observation.nints, observation.ngroups, *observation.shape)
    steps = np.diff(kept.charge_e, axis=1) / observation.subarray.frame_time_s
    rate = truth.load(folder / "truth").rate_e_per_s
    assert steps == pytest.approx(np.broadcast_to(rate, steps.shape), rel=1e-4, abs=0.1)


def test_drawn_charge_scatters_as_poisson_says(told):
    _, _, kept, _ = told
    drawn, expected = (np.diff(ramp, axis=1, prepend=0) for ramp in (kept.poisson_e, kept.charge_e))
    lit = expected > 20
    pull = ((drawn - expected) / np.sqrt(np.where(lit, expected, 1)))[lit]
    assert abs(pull.mean()) < 4 / np.sqrt(lit.sum())
    assert pull.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * lit.sum()))


def test_a_layer_is_the_exposures_own_draw(told):
    observation, constants, kept, folder = told
    gain = np.asarray(constants.maps.gain)
    again = layers.draw(observation, constants, ("poisson", *layers.COLLECTED), 1, 1) * gain
    assert again[0] == pytest.approx(kept.poisson_e[1], rel=1e-5, abs=0.01)
    noise = layers.noise(observation, constants, "read_noise", 0, 2)
    (uncal,) = folder.glob("*_uncal.fits")
    with fits.open(uncal) as hdus:
        raw = np.asarray(hdus["SCI"].data, float)
    quiet = (kept.groupdq == 0) & (kept.charge_e < 0.5 * float(constants.maps.well_e))
    quiet &= ~np.logical_or.accumulate((kept.groupdq & flags.JUMP_DET) != 0, axis=1)
    # the layers add up to what was written, but for the rounding, and hits in the first group, which are no jumps
    rest = (raw - constants.maps.bias_dn - kept.poisson_e / gain - noise)[quiet]
    assert np.abs(np.percentile(rest, [0.1, 99.0])).max() < 0.51


def test_flags_say_where_the_well_was_full(told):
    _, constants, kept, _ = told
    well = float(constants.maps.well_e)
    saturated = (kept.groupdq & flags.SATURATED) != 0
    assert (kept.poisson_e > well).any()
    assert saturated[kept.poisson_e > well].all()
    assert saturated[kept.poisson_e < 0.9 * well].mean() < 1e-3  # pixels that cosmic rays filled
    assert (((kept.pixeldq & flags.HOT) != 0) == constants.maps.hot).all()
    assert (((kept.pixeldq & flags.REFERENCE_PIXEL) != 0) == (constants.maps.light == 0)).all()


def test_hits_are_jumps_of_the_first_group_they_raise(told):
    observation, _, _, _ = told
    hits = np.zeros(3, list(truth.CATALOGUE.items()))
    hits["integration"], hits["frame"], hits["y"], hits["x"] = [0, 1, 1], [0, 2, 3], [5, 6, 7], [8, 9, 10]
    dq = layers.jumps(observation, 2, hits)
    assert np.argwhere(dq).tolist() == [[1, 2, 6, 9], [1, 3, 7, 10]]
    assert set(dq[dq > 0]) == {flags.JUMP_DET}


def test_a_folder_without_layers_is_refused(tmp_path):
    with pytest.raises(InputError, match="truth_integrations"):
        layers.load(tmp_path)
