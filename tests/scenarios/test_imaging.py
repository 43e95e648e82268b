"""An imaged star from files to the planet's depth: products, entries at every stage, other readers."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io import phot, tspec
from uptheramp.calibrate.io.exposure import open_exposure
from uptheramp.calibrate.io.meta import from_header
from uptheramp.calibrate.references.target import Target
from uptheramp.scenarios.fits import fit_file
from uptheramp.scenarios.real import calibrate_files
from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.simulate.ramps import level1b, references
from uptheramp.simulate.ramps.render import build

SYSTEM = """
name = "toy"
period_d = {period}
t0_bjd_tdb = {t0}
a_rs = 11.39
inclination_deg = 87.7369
rp_rs = 0.1445
source = "a test"
confidence = "guess"
[bins]
resolving_power = 100.0
range_um = [0.6, 5.0]
[limb_darkening]
wavelength_um = [2.0, 2.2]
u1 = [0.08, 0.08]
u2 = [0.23, 0.23]
source = "a test"
confidence = "guess"
"""
# in this order; what follows is ours
OFFICIAL = (
    *("MJD", "BJD_TDB", "aperture_sum", "aperture_sum_err", "annulus_sum", "annulus_sum_err"),
    *("annulus_mean", "annulus_mean_err", "aperture_bkg", "aperture_bkg_err"),
    *("net_aperture_sum", "net_aperture_sum_err", "aperture_x", "aperture_y"),
    *("aperture_ra_icrs", "aperture_dec_icrs", "centroid_x", "centroid_y"),
    *("psf_width_x", "psf_width_y", "psf_flux"),
)
META = ("instrument", "detector", "channel", "subarray", "filter", "pupil", "target_name", "apertures")


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A small exposure reduced through all stages."""
    folder = tmp_path_factory.mktemp("imaged")
    scenario = find("imaging")
    block = replace(scenario.mode[0], nints=40, ngroups=3, integrations_in_transit=18.0, k_mag=9.5)
    observation = observation_of(scenario, block)
    constants = build(observation)
    files = level1b.write(observation, folder, constants=constants, integrations_per_segment=20)
    references.write(observation, constants, folder, grades=("estimated",))
    refs, system = folder / "references" / "estimated", folder / "system.toml"
    planet = observation.orbit_planet
    system.write_text(SYSTEM.format(period=planet.period_d, t0=planet.t0_bjd_tdb))
    products = calibrate_files(files, folder / "all", refs, (1, 2, 3), "recommended", system, {}, quiet)
    return folder / "all", refs, system, observation, products


def test_the_products_are_the_official_ones(series):
    folder, _, _, observation, products = series
    names = {path.name.removeprefix("nircam_image_f210m_") for path in products}
    assert names == {"rateints.fits", "calints.fits", "crfints.fits", "tspec.ecsv", "tspec.fits"}
    assert not list(folder.glob("*x1dints*")) + list(folder.glob("*whtlt*")) + list(folder.glob(".partial*"))
    table = QTable.read(folder / "nircam_image_f210m_phot.ecsv")
    assert tuple(table.colnames[: len(OFFICIAL)]) == OFFICIAL
    assert tuple(table.meta)[: len(META)] == META
    assert table.meta["number_of_integrations"] == len(table) == 40
    assert (str(table["net_aperture_sum"].unit), str(table["centroid_x"].unit)) == ("Jy", "pix")
    scale = observation.detector.pixel_scale_arcsec
    moved = table["aperture_x"].value - observation.mode.image.centre_px[0]
    np.testing.assert_allclose((table["aperture_ra_icrs"].value - 180) * 3600, moved * scale[0], atol=1e-8)
    with fits.open(folder / "nircam_image_f210m_calints.fits") as hdus:
        assert hdus["SCI"].header["BUNIT"] == "MJy/sr"
        assert hdus["SCI"].header["PIXAR_SR"] == pytest.approx(scale[0] * scale[1] / 206264.806**2, rel=1e-6)


def test_the_depth_of_one_channel_is_recovered(series):
    folder, _, _, observation, _ = series
    planet = tspec.read(folder / "nircam_image_f210m_tspec.fits")
    assert len(planet.depth) == 1
    assert float(planet.wavelength_um[0]) == pytest.approx(np.mean(observation.mode.useful_range_um), abs=1e-3)
    error = float(planet.error[0])
    assert float(planet.depth[0]) == pytest.approx(0.1445**2, abs=4 * error)
    assert error < 0.1 * 0.1445**2


def test_the_command_makes_the_same_of_programs_compiled_to_run_fast(series, tmp_path):
    """The tests compile in haste (conftest.py); the command, in a process of its own, as it does for its users."""
    folder, refs, system, *_ = series
    words = [Path(sys.executable).with_name("uptheramp"), "calibrate", *sorted(folder.parent.glob("*_uncal.fits"))]
    words += ["-o", tmp_path, "--refs", refs, "--system", system]
    clean = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    clean["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    done = subprocess.run(list(map(str, words)), env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    here, there = (tspec.read(place / "nircam_image_f210m_tspec.fits") for place in (folder, tmp_path))
    error = float(here.error[0])
    assert float(there.depth[0]) == pytest.approx(float(here.depth[0]), abs=0.02 * error)
    assert float(there.error[0]) == pytest.approx(error, rel=0.02)


def test_a_table_read_again_is_the_same(series):
    folder, *_ = series
    path = folder / "nircam_image_f210m_phot.ecsv"
    read, images = phot.read(path), open_exposure([folder / "nircam_image_f210m_crfints.fits"])
    phot.write(folder / "again_phot.ecsv", read, images.meta, images.int_times, {})
    one, two = QTable.read(path), QTable.read(folder / "again_phot.ecsv")
    for name in one.colnames:
        np.testing.assert_array_equal(np.asarray(one[name]), np.asarray(two[name]), err_msg=name)
    (folder / "again_phot.ecsv").unlink()
    with pytest.raises(InputError, match="not a photometry table of ours"):
        phot.read(folder / "nircam_image_f210m_tspec.ecsv")


@pytest.mark.parametrize(("product", "stages"), [("rateints", (2, 3)), ("calints", (3,))])
def test_later_entries_give_the_same_depth(series, tmp_path, product, stages):
    folder, refs, system, *_ = series
    start = folder / f"nircam_image_f210m_{product}.fits"
    calibrate_files([start], tmp_path, refs, stages, "recommended", system, {}, quiet)
    one, two = (tspec.read(f / "nircam_image_f210m_tspec.fits") for f in (folder, tmp_path))
    np.testing.assert_allclose(two.depth, one.depth, atol=1e-9)


def test_other_fits_take_the_table(series, tmp_path):
    folder, _, system, *_ = series
    choices = {"limb_darkening": "fixed", "orbit": "fixed", "kind": "transit"}
    written = fit_file(folder / "nircam_image_f210m_phot.ecsv", str(system), tmp_path, choices, False, ())
    assert {path.name for path in written} == {"nircam_image_f210m_fit.json", "nircam_image_f210m_fit.png"}
    value = json.loads(written[0].read_text())["depth"]
    planet = tspec.read(folder / "nircam_image_f210m_tspec.fits")
    # without the offset of the star's row, and with official errors as weights
    assert value == pytest.approx(float(planet.depth[0]), abs=0.1 * float(planet.error[0]))


def test_a_header_without_the_targets_place_is_refused(series):
    folder, *_ = series
    with fits.open(folder / "nircam_image_f210m_calints.fits") as hdus:
        header, sci = hdus[0].header.copy(), hdus["SCI"].header.copy()
    del sci["XREF_SCI"]
    with pytest.raises(InputError, match="lacks XREF_SCI"):
        Target.from_meta(from_header(header, "x", sci))


def test_official_datamodels_open_the_images(series):
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    folder, *_ = series
    for name in ("calints", "crfints"):
        with datamodels.open(folder / f"nircam_image_f210m_{name}.fits") as opened:
            assert type(opened).__name__ == "CubeModel"
            opened.validate()
            assert opened.meta.photometry.pixelarea_steradians > 0
