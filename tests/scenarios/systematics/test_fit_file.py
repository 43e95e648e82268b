"""What a fit file may say, and what tells that a model is wrong."""

import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios.systematics import diagnostics, exposures, fit_file
from uptheramp.simulate.detector import ipc
from uptheramp.simulate.state import Charge

GOOD = 'name = "x"\nfamily = "linearity"\nmode = "nirspec_prism"\n'
RAMPS = "[[ramps]]\nfill = 0.5\nngroups = 6\nnints = 5\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD, "missing key ramps"),
        (GOOD + "ramps = []\n", "no \\[\\[ramps\\]\\] block"),
        (GOOD.replace("linearity", "linearty") + RAMPS, "did you mean linearity"),
        (GOOD + RAMPS + 'files = ["a.fits"]\n', "either files, or fill"),
        (GOOD + RAMPS.replace("0.5", "1.5"), "a part of the well"),
        (GOOD + "linearity = { tems = 3 }\n" + RAMPS, "did you mean terms"),
    ],
)
def test_senseless_files_are_refused_in_one_line(tmp_path, text, message):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        fit_file.find(str(tmp_path / "a.toml"))


def test_unknown_effects_and_missing_ramps_are_refused(tmp_path):
    for more, message in (('model = ["poison"]\n', "unknown effect 'poison'"), ("", "no such file")):
        ramps = RAMPS if more else '[[ramps]]\nfiles = ["none_uncal.fits"]\n'
        (tmp_path / "a.toml").write_text(GOOD + more + ramps)
        with pytest.raises(InputError, match=message):
            exposures.ramp_sets(*fit_file.find(str(tmp_path / "a.toml")))


@pytest.mark.parametrize("name", fit_file.catalogue())
def test_every_fit_of_the_catalogue_can_be_observed(name):
    file, _ = fit_file.find(name)
    for block in file.ramps:
        assert exposures.observed(file, block.ngroups, block.nints, 0).ngroups == block.ngroups


def test_hits_are_left_out():
    data = np.random.default_rng(0).normal(100, 5, (12, 4, 6, 6))
    data[3, 2, 1, 4] += 80
    kept = exposures.clean(data)
    assert not kept[3, 1, 4]
    assert kept.mean() > 0.99


def test_noise_that_is_shared_by_neighbours_shows():
    alpha = 0.01
    noise = np.random.default_rng(1).standard_normal((80, 60, 60))
    mixed = ipc.Ipc().mean(
        Charge(jnp.asarray(noise), jnp.asarray(0)), None, type("P", (), {"own": ipc.Constant(np.array([alpha, 0.0]))})
    )
    along, across = (diagnostics.neighbours(np.asarray(mixed.electrons), axis) for axis in (2, 1))
    before = diagnostics.neighbours(noise, 2).value
    assert along.value - before == pytest.approx(2 * alpha, rel=0.05)
    assert along.sigma > 5
    assert abs(across.sigma) < 4
    assert abs(diagnostics.neighbours(noise, 2).sigma) < 4


def test_chi_square_is_judged_by_its_own_scatter():
    right = np.random.default_rng(2).chisquare(10, 4000)
    freedom = np.full(4000, 10.0)
    assert abs(diagnostics.chi_square(right, freedom).sigma) < 4
    assert diagnostics.chi_square(1.1 * right, freedom).sigma > 5
