"""Rateints simulated and reduced by others (MIRISim, jwst 1.4.1): MIRI LRS of NGTS-10, four integrations, no times."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

import optics
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.exposure import open_exposure
from uptheramp.scenarios.real import calibrate_files

SYSTEM = """
name = "NGTS-10"
period_d = 0.7668944
t0_bjd_tdb = 58485.0
a_rs = 4.97
inclination_deg = 83.75
rp_rs = 0.1765
source = "a test"
confidence = "guess"
[bins]
resolving_power = 20.0
range_um = [5.0, 12.0]
[limb_darkening]
wavelength_um = [4.0, 14.0]
u1 = [0.1, 0.1]
u2 = [0.1, 0.1]
source = "a test"
confidence = "guess"
"""
NAME = "ERS_NGTS10_2022_new_drift_041"
COUNTED = pytest.mark.filterwarnings("ignore:.*INTSTART")


def quiet(*_):
    pass


def pull(values, variance):
    """Scatter between integrations over the error."""
    count = len(values)
    return np.sqrt(np.mean((values - values.mean(0)) ** 2 / variance) * count / (count - 1))


@pytest.fixture(scope="module")
def made(shared, tmp_path_factory):
    """The files, a folder of references, and our products of Stages 2 and 3."""
    real, folder = shared / "realdata" / "miri_lrs", tmp_path_factory.mktemp("ngts10")
    derived = real / "derived" / "miri_lrs_slitless_flat0745_and_wavemap.fits"
    rateints, refs = real / "eureka_ngts10_sim" / f"{NAME}_rateints.fits", folder / "refs"
    refs.mkdir()
    for path in (
        derived,
        real / "ref_ers_hackathon" / "jwst_miri_photom_0071.fits",
        real / "ref_jwebbinar" / "jwst_miri_extract1d_slitless_withbgr.json",
    ):
        shutil.copy(path, refs)
    with fits.open(refs / derived.name, mode="update") as hdus:  # what the official step wants to know of a flat
        hdus[0].header.update(SUBSTRT1=1, SUBSTRT2=529, SUBSIZE1=72, SUBSIZE2=416, FASTAXIS=1, SLOWAXIS=2)
    with pytest.warns(UserWarning, match="taken to be 1847..1850"):
        meta = open_exposure([rateints]).meta
    optics.write(optics.of_column(fits.getdata(derived, "WAVE_NEW")[:, 37], meta, 20), meta, refs / "specwcs.fits")
    with pytest.warns(UserWarning, match="taken to be 1847..1850"):
        calibrate_files([rateints], folder / "out", refs, (2, 3), "jwst_3_0", None, {}, quiet)
    return rateints, refs, folder / "out"


@COUNTED
def test_flat_and_wavelengths_are_those_of_the_official_products(made, tmp_path):
    rateints, refs, _ = made
    calibrate_files([rateints], tmp_path, refs, (2,), "jwst_3_0", None, {"photom.skip": "true"}, quiet)
    flat = rateints.with_name(f"{NAME}_calints_jwst1.3.3_flat0745.fits")
    wave = rateints.with_name(f"{NAME}_calints_jwst2.0.1_noflat.fits")
    with fits.open(tmp_path / f"{NAME}_calints.fits") as ours, fits.open(flat) as flattened, fits.open(wave) as lit:
        wavelength, official = ours["WAVELENGTH"].data, lit["WAVELENGTH"].data
        same = np.isfinite(official)
        np.testing.assert_array_equal(np.isfinite(wavelength), same)
        assert np.abs(wavelength - official)[same].max() < 0.02
        good = (ours["DQ"].data | flattened["DQ"].data) & 1 == 0
        assert good.mean() > 0.8
        np.testing.assert_allclose(ours["SCI"].data[good], flattened["SCI"].data[good], rtol=1e-5)


def test_spectra_scatter_as_the_images_do(made):
    """The errors of the rateints are more than twice their scatter, and so those of the spectra made of them."""
    rateints, _, out = made
    with fits.open(rateints) as hdus:
        good = (hdus["DQ"].data == 0).all(0)
        pixels = pull(hdus["SCI"].data[:, good], hdus["VAR_POISSON"].data[:, good] + hdus["VAR_RNOISE"].data[:, good])
    assert pixels < 0.5
    with fits.open(out / f"{NAME}_x1dints.fits") as hdus:
        table = hdus["EXTRACT1D"].data
        np.testing.assert_array_equal(table["INT_NUM"], [1847, 1848, 1849, 1850])
        assert np.isnan(table["TDB-MID"]).all()
        names = ("WAVELENGTH", "FLUX", "FLUX_VAR_POISSON", "FLUX_VAR_RNOISE")
        wavelength, flux, poisson, rnoise = (np.array(table[name], float) for name in names)
    inside = (wavelength[0] > 5) & (wavelength[0] < 11)
    assert np.isfinite(flux[:, inside]).mean() > 0.95
    seen = inside & np.isfinite(flux).all(0)
    assert pull(flux[:, seen], (poisson + rnoise)[:, seen]) == pytest.approx(pixels, rel=0.15)


@pytest.mark.slow
@pytest.mark.peer
@COUNTED
def test_spectra_are_the_official_ones(made, shared, tmp_path):
    """The official Spec2 on the same rateints and references: METRICS.md agreement of all fluxes and backgrounds."""
    pytest.importorskip("jwst")
    rateints, refs, _ = made
    calibrate_files([rateints], tmp_path / "ours", refs, (2,), "jwst_3_0", None, {}, quiet)
    paths = {"flat": next(refs.glob("*flat0745*")), "specwcs": refs / "specwcs.fits"}
    paths |= {name: next(refs.glob(f"*_{name}_*")) for name in ("photom", "extract1d")}
    paths["distortion"] = optics.distortion(tmp_path, replace(optics.LRS, geometry=None))
    keys = {"META.INSTRUMENT.DETECTOR": "MIRIMAGE", "META.EXPOSURE.TYPE": "MIR_LRS-SLITLESS"}
    entries = [
        {"instrument": "MIRI", "reftype": name, "parkeys": keys, "path": str(path)} for name, path in paths.items()
    ]
    folder = tmp_path / "official"
    folder.mkdir()
    shutil.copy(rateints, folder)
    job = {"harness": str(shared / "peer"), "cache": str(tmp_path / "crds"), "entries": entries}
    job |= {"uncal": "", "out": str(folder), "stages": ["spec2"]}
    (tmp_path / "job.json").write_text(json.dumps(job))
    script = Path(__file__).with_name("official_stages.py")
    subprocess.run([sys.executable, str(script), str(tmp_path / "job.json")], capture_output=True, check=True)
    ours, theirs = (fits.getdata(f / f"{NAME}_x1dints.fits", "EXTRACT1D") for f in (tmp_path / "ours", folder))
    lit = np.isfinite(ours["WAVELENGTH"][0])
    np.testing.assert_allclose(ours["WAVELENGTH"][:, lit], theirs["WAVELENGTH"], rtol=2e-7)
    seen = np.isfinite(theirs["FLUX"])
    for column in ("FLUX", "BACKGROUND", "FLUX_ERROR", "FLUX_VAR_POISSON", "FLUX_VAR_RNOISE", "FLUX_VAR_FLAT"):
        mine, other = (np.asarray(t, float)[seen] for t in (ours[column][:, lit], theirs[column]))
        allowed = {"FLUX": "FLUX_ERROR", "BACKGROUND": "BKGD_ERROR"}.get(column)
        part = 0 if allowed is None else 1e-3 * np.asarray(theirs[allowed], float)[seen]
        assert np.all(np.abs(mine - other) <= 1e-5 * np.abs(other) + part), column
    np.testing.assert_array_equal(np.isfinite(ours["FLUX"][:, lit]), np.isfinite(theirs["FLUX"]))


@COUNTED
def test_light_curves_are_refused_without_times(made, tmp_path):
    rateints, refs, out = made
    system = tmp_path / "system.toml"
    system.write_text(SYSTEM)
    for path, stages in ((rateints, (2, 3)), (out / f"{NAME}_x1dints.fits", ())):
        with pytest.raises(InputError, match="INT_TIMES is missing or empty; .* light curves cannot"):
            calibrate_files([path], tmp_path / "out", refs, stages, "jwst_3_0", system, {}, quiet)
    assert not (tmp_path / "out").exists()


@COUNTED
def test_light_curves_of_four_integrations_are_refused(made, tmp_path):
    _, refs, out = made
    system, path = tmp_path / "system.toml", Path(shutil.copy(out / f"{NAME}_x1dints.fits", tmp_path))
    system.write_text(SYSTEM)
    with fits.open(path, mode="update") as hdus:
        for name in hdus["INT_TIMES"].columns.names[1:]:
            hdus["INT_TIMES"].data[name] = 58485.0 + 0.02 * np.arange(4)
    with pytest.raises(InputError, match="4 usable integrations cannot tell the 4 free parameters"):
        calibrate_files([path], tmp_path / "out", refs, (), "jwst_3_0", system, {}, quiet)
    assert not list(tmp_path.glob("out/*"))
