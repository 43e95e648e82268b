"""`calibrate` from files to the planet's spectrum, entering at every stage, and what is legal but unusual."""

import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io import tspec
from uptheramp.calibrate.io.exposure import open_exposure
from uptheramp.scenarios.real import calibrate_files

SYSTEM = """
name = "toy"
period_d = {period}
t0_bjd_tdb = {t0}
a_rs = 11.39
inclination_deg = 87.7369
rp_rs = 0.1455
source = "a test"
confidence = "guess"
[bins]
resolving_power = 5.0
range_um = [0.9, 5.0]
trim_start = 1
[limb_darkening]
wavelength_um = [0.8, 8.0]
u1 = [0.2, 0.03]
u2 = [0.2, 0.09]
source = "a test"
confidence = "guess"
"""


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def series(two_segments, tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    observation, files, refs = two_segments
    planet = observation.orbit_planet
    system = folder / "system.toml"
    system.write_text(SYSTEM.format(period=planet.period_d, t0=planet.t0_bjd_tdb))
    calibrate_files(files, folder / "all", refs, (1, 2, 3), "recommended", system, {}, quiet)
    return folder, files, refs, system


def test_two_segments_reach_the_planet(series):
    folder, _, _, _ = series
    planet = tspec.read(folder / "all" / "nirspec_prism_tspec.fits")
    truth = 0.1455**2
    assert len(planet.depth) > 5
    assert np.all(np.abs(np.asarray(planet.depth) - truth) < 5 * np.asarray(planet.error) + 1e-3)
    assert not list((folder / "all").glob(".partial*"))


@pytest.mark.parametrize(("product", "stages"), [("rateints", (2, 3)), ("calints", (3,)), ("x1dints", ())])
def test_later_entries_give_the_same_spectrum(series, product, stages):
    folder, _, refs, system = series
    start = folder / "all" / f"nirspec_prism_{product}.fits"
    calibrate_files([start], folder / product, refs, stages or (3,), "recommended", system, {}, quiet)
    one = tspec.read(folder / "all" / "nirspec_prism_tspec.fits")
    two = tspec.read(folder / product / "nirspec_prism_tspec.fits")
    # an x1dints file alone does not say which row of the detector was read when
    tolerance = 5e-5 if product == "x1dints" else 1e-7
    np.testing.assert_allclose(two.depth, one.depth, atol=tolerance)


def test_another_time_scale_is_refused(series, tmp_path):
    folder, _, refs, system = series
    other = tmp_path / "system.toml"
    other.write_text(system.read_text().replace("t0_bjd_tdb = 5", "t0_bjd_tdb = 245"))
    start = folder / "all" / "nirspec_prism_x1dints.fits"
    with pytest.raises(InputError, match="subtract 2400000.5"):
        calibrate_files([start], tmp_path / "out", refs, (3,), "recommended", other, {}, quiet)
    assert not (tmp_path / "out").exists()


def test_official_datamodels_open_the_products(series):
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    folder, _, _, _ = series
    for name, model in (("rateints", "CubeModel"), ("rate", "ImageModel"), ("x1dints", "TSOMultiSpecModel")):
        with datamodels.open(folder / "all" / f"nirspec_prism_{name}.fits") as opened:
            assert type(opened).__name__ == model
            opened.validate()


@pytest.mark.parametrize("ngroups", [1, 2])
def test_one_or_two_groups_are_reduced_with_a_warning(make_exposure, tmp_path, ngroups):
    _, files, refs = make_exposure(tmp_path, ngroups=ngroups)
    with pytest.warns(UserWarning, match="the jump step cannot run"):
        products = calibrate_files(files, tmp_path / "out", refs, (1,), "recommended", None, {}, quiet)
    rates = open_exposure(products).rates(0, 3)
    used = (np.asarray(rates.dq) & flags.DO_NOT_USE) == 0
    assert np.isfinite(np.asarray(rates.data)[used]).all()
    assert used.mean() > 0.9
