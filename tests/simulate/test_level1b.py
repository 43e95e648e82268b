import numpy as np
import pytest
from astropy.io import fits

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io import exposure
from uptheramp.simulate import truth
from uptheramp.simulate.ramps import clock, foresight, level1b, render
from uptheramp.simulate.scene.star import Star


@pytest.fixture(scope="module")
def written(tmp_path_factory, everything_on):
    observation, constants, *_ = everything_on
    folder = tmp_path_factory.mktemp("uncal")
    calls = []
    paths = level1b.write(
        observation,
        folder,
        constants=constants,
        integrations_per_segment=4,
        chunk=3,
        progress=lambda *done: calls.append(done),
    )
    return folder, paths, calls


def test_segments_hold_the_exposure(written, everything_on):
    observation, _, data, _, _ = everything_on
    folder, paths, calls = written
    assert [p.name for p in paths] == ["nirspec_prism-seg001_uncal.fits", "nirspec_prism-seg002_uncal.fits"]
    assert calls == [(3, 6), (6, 6)]
    pieces = [fits.getdata(p, "SCI") for p in paths]
    assert [len(p) for p in pieces] == [4, 2]
    assert (np.concatenate(pieces) == data).all()
    tables = [fits.getdata(p, "INT_TIMES") for p in paths]
    times = np.concatenate([t["int_mid_BJD_TDB"] for t in tables])
    assert times == pytest.approx(clock.int_times(observation)["int_mid_BJD_TDB"], abs=1e-12)
    assert tables[1]["integration_number"].tolist() == [5, 6]
    assert len(fits.getdata(paths[1], "GROUP")) == 2 * observation.ngroups
    assert not list(folder.glob(".partial*"))


def test_the_calibrator_reads_it(written):
    _, paths, _ = written
    found = exposure.open_exposure(paths)
    assert found.nints == 6
    assert found.root == "nirspec_prism"


def test_the_truth_comes_back(written, everything_on):
    folder, _, _ = written
    observation, constants, _, _, drawn = everything_on
    found = truth.load(folder / "truth")
    assert (found.light_curve_e_per_s == drawn["spectra"]).all()
    hits = drawn["cosmic_rays"].electrons
    assert found.cosmic_rays["electrons"].sum() == pytest.approx(hits.sum())
    assert found.facts["seed"] == observation.seed
    assert found.facts["compression"] == 500.0
    assert found.facts["settings"]["one_over_f"] == {"amplitude": 1.0, "slope": 1.0}
    jumping = constants.own["telegraph"]
    assert (found.telegraph_e[jumping.y, jumping.x] == jumping.amplitude_e).all()
    assert (found.telegraph_e > 0).sum() == jumping.y.size > 0
    spectrum = constants.spectra[0]
    k2 = found.depth_flux_e_per_s[0, 200] / found.flux_e_per_s[0, 200]
    assert k2 == pytest.approx(np.interp(spectrum.along_um[200], (0.5, 3, 5), (0.14, 0.15, 0.145)) ** 2, rel=1e-3)
    offset = np.asarray(spectrum.curve.read_offset_s)
    assert found.read_offset_s[0, 100] == pytest.approx(offset[100 * 2 + spectrum.response.bands.shape[1] // 2])
    assert found.star_e_per_s.sum() == pytest.approx(found.flux_e_per_s[0].sum(), rel=1e-3)
    assert set(found.cosmic_rays["integration"]) <= set(range(6))


def test_what_is_no_truth_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="truth"):
        truth.load(tmp_path)


def test_a_scene_that_saturates_everywhere_warns_before_it_renders(small, tmp_path):
    bright = small(star=Star(3.0, 5485.0), nints=1, ngroups=2)
    with pytest.warns(UserWarning, match="full before the second group"):
        level1b.write(bright, tmp_path / "bright")
    faint = small(nints=1, ngroups=2)
    assert foresight.lost_share(faint, render.build(faint)) < 0.2
