"""Wavelengths from official optical references: those of the official assign_wcs, and analytic ones."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.modeling.models import Polynomial1D, Polynomial2D

import optics
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.geometry import Geometry
from uptheramp.calibrate.reduce import load_library
from uptheramp.calibrate.references import library
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.optics import trees
from uptheramp.calibrate.references.optics.models import MODELS
from uptheramp.calibrate.references.photom import Photom
from uptheramp.calibrate.references.wavemap import Wavemap
from uptheramp.calibrate.settings import recipe

GOLDEN = Path(__file__).parents[2] / "golden" / "wavelengths.npz"
CASES = pytest.mark.parametrize("name", optics.CASES)
# the data models write with warnings about units and about what they would rather be told
pytestmark = pytest.mark.filterwarnings("ignore")


def light(meta, paths):
    return MODELS[meta.exp_type].light(paths, meta)


@CASES
def test_wavelengths_are_the_official_ones_on_record(tmp_path, name):
    case = optics.CASES[name]
    found = light(case.meta, case.write(tmp_path, case.meta))
    with np.load(GOLDEN) as golden:
        where = np.ix_(golden[f"{name}_rows"], golden[f"{name}_columns"])
        np.testing.assert_allclose(found.wavelength_um[where], golden[name], rtol=1e-7)
        assert tuple(golden[f"{name}_corner"]) == found.corner


@pytest.mark.peer
@pytest.mark.parametrize("name", sorted(set(optics.CASES) - {"fixed_slit"}))  # of five slits: slow, and on record above
def test_wavelengths_are_the_official_ones(tmp_path, name):
    pytest.importorskip("jwst")
    case = optics.CASES[name]
    paths = case.write(tmp_path, case.meta)
    official, corner = optics.official(case.meta, paths)
    found = light(case.meta, paths)
    np.testing.assert_allclose(found.wavelength_um, official, rtol=1e-7)  # slits are kept in float32
    assert found.corner == corner


def test_trace_that_bends_with_the_field_is_inverted(monkeypatch):
    x, y = 468.3, 35.2
    trace = [Polynomial2D(1, c0_0=-400.0, c1_0=0.1), Polynomial2D(1, c0_0=1800.0), Polynomial2D(1, c0_1=0.5)]
    models = {"displ": [Polynomial1D(1, c0=2.3, c1=2.0)], "dispx": [trace], "orders": [1], "invdispx": None}
    monkeypatch.setattr(trees, "read", lambda path, *names: [models[name] for name in names])
    found = light(optics.GRISM, {"specwcs": Path("specwcs.asdf")}).wavelength_um[10] / light_speed_factor()
    a, b, c = 0.5 * y, 1800.0, -400.0 + 0.1 * x - (np.arange(2048) - x)
    t = (-b + np.sqrt(b**2 - 4 * a * c)) / (2 * a)
    inside = (t >= 0) & (t <= 1)
    assert np.isnan(found[~inside]).all() and 100 < inside.sum() < 2000
    # straight lines between 40 samples leave a curve by up to (1/39)^2 / 8 of its second derivative
    np.testing.assert_allclose(found[inside], (2.3 + 2.0 * t)[inside], atol=2.0 * 2 * a / b / 39**2 / 8)


def light_speed_factor():
    return 1 / (1 + optics.POINTING.velocity_m_s / 299792458.0)


def test_wavelengths_are_seen_from_the_barycentre(tmp_path):
    case = optics.CASES["prism_rows"]
    paths = case.write(tmp_path, case.meta)
    still = replace(case.meta, geometry=replace(case.meta.geometry, velocity_m_s=None))
    moving, at_rest = (light(meta, paths).wavelength_um for meta in (case.meta, still))
    np.testing.assert_allclose(moving, at_rest * light_speed_factor(), rtol=1e-12)


def test_map_of_ours_wins_and_without_it_the_optics_serve(tmp_path):
    case = optics.CASES["grism"]
    case.write(tmp_path, case.meta)
    classes = {"wavemap": Wavemap}

    def loaded():
        wanted = library.wanted(classes, case.meta)
        return library.load(library.find(tmp_path, case.meta, wanted), case.meta, classes)["wavemap"].wavelength_um

    made = loaded()
    assert made.dtype == np.float32 and made.shape == case.meta.shape
    np.testing.assert_allclose(made, light(case.meta, {"specwcs": tmp_path / "specwcs.asdf"}).wavelength_um, rtol=1e-7)
    Wavemap(np.full(case.meta.shape, 3.0, np.float32)).to_file(tmp_path / "wavemap.fits", case.meta)
    assert (loaded() == 3.0).all()


def test_what_is_missing_is_said():
    nothing: dict[str, Path] = {}
    assert library.lacking("wavemap", Wavemap, optics.GRISM, nothing) == "wavemap or specwcs"
    assert library.lacking("wavemap", Wavemap, optics.GRISM, {"specwcs": Path("s.asdf")}) == ""
    unknown = replace(optics.GRISM, exp_type="NRC_WFSS")
    assert library.lacking("wavemap", Wavemap, unknown, nothing) == "wavemap"


def test_files_that_list_several_exposure_types_serve_each(tmp_path):
    case = optics.CASES["grism"]
    path = case.write(tmp_path, case.meta)["specwcs"]
    path.write_bytes(
        path.read_bytes().replace(b"{type: NRC_TSGRISM}", b"{type: NRC_WFSS, p_exptype: 'NRC_WFSS|   NRC_TSGRISM|'}")
    )
    assert library.find(tmp_path, case.meta, ["specwcs"]) == {"specwcs": path}
    path.write_bytes(path.read_bytes().replace(b"|   NRC_TSGRISM", b""))
    with pytest.raises(InputError, match="no reference file"):
        library.find(tmp_path, case.meta, ["specwcs"])


def test_bad_input_is_named(tmp_path):
    case = optics.CASES["grism"]
    paths = case.write(tmp_path, case.meta)
    with pytest.raises(InputError, match="lacks XREF_SCI"):
        light(replace(case.meta, geometry=Geometry(y_ref=3.0)), paths)
    with pytest.raises(InputError, match=r"distortion\.asdf: lacks displ, dispx, orders"):
        light(case.meta, {"specwcs": paths["distortion"]})
    (tmp_path / "torn.asdf").write_text("nothing")
    with pytest.raises(InputError, match=r"torn\.asdf: not a readable"):
        light(case.meta, {"specwcs": tmp_path / "torn.asdf"})
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(InputError, match=r"empty\.fits: lacks IMXSLTL, IMYSLTL"):
        light(optics.LRS, {"specwcs": tmp_path / "empty.fits"})


def test_stripes_of_the_hartmann_sensor_are_refused(shared):
    path = shared / "realdata/nircam_grism/ref_jwst_tests/nircam_nrca1_specwcs.asdf"
    with pytest.raises(InputError, match="no dispersion model of order 1"):
        light(optics.GRISM, {"specwcs": path})


@pytest.mark.parametrize(("samples", "farthest_um"), [(1, 0.03), (20, 0.02)])
def test_map_of_the_miri_prism_follows_from_its_trace(tmp_path, shared, samples, farthest_um):
    """A table of one column of the map of CRDS specwcs_0009 gives the rest of it.

    The official model smooths its table by a spline that leaves a sum of squares of up to 0.002 um2, so that a table
    of `samples` in a row comes back the better the more it holds.
    """
    path = shared / "realdata/miri_lrs/derived/miri_lrs_slitless_flat0745_and_wavemap.fits"
    stored = np.asarray(fits.getdata(path, "WAVE_NEW"), float)
    meta = replace(optics.LRS, geometry=None)
    lit = np.flatnonzero(np.isfinite(stored[:, 37]))
    made = optics.of_column(stored[:, 37], meta, samples)
    found = light(meta, {"specwcs": optics.write(made, meta, tmp_path / "specwcs.fits")}).wavelength_um
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(stored))
    both = np.isfinite(stored)
    off = np.abs(found - stored)[both]
    pixel = np.abs(np.gradient(stored, axis=0))[both]
    worst = np.nanmax(off / pixel)
    print(f"{both.sum()} pixels: median {np.median(off):.1e}, farthest {off.max():.1e} um, {worst:.3f} pixels")  # noqa: T201
    assert off.max() < farthest_um
    assert np.sum(np.nanmean(np.where(both, found - stored, np.nan)[:, 4:], 1)[lit] ** 2) < 0.002 * 1.01


def test_stage_2_needs_official_files_alone(tmp_path):
    case = optics.CASES["slit_prism"]
    case.write(tmp_path, case.meta)
    Extract1d.neutral(case.meta).to_file(tmp_path / "extract1d.json", case.meta)
    Photom.neutral(case.meta).to_file(tmp_path / "photom.fits", case.meta)
    exposure = SimpleNamespace(meta=case.meta, segments=[SimpleNamespace(path=tmp_path / "x_rateints.fits")])
    steps = recipe("jwst_3_0", "near_ir", case.meta.exp_type).stage2
    made = load_library(exposure, steps, tmp_path)
    assert {"wavemap", "wavecorr", "extract1d", "photom"} <= set(made)
    (tmp_path / "camera.asdf").unlink()
    (tmp_path / "extract1d.json").unlink()
    with pytest.raises(InputError, match=r"for extract1d \(for extract_1d\), wavemap or camera \(for assign_wcs\);"):
        load_library(exposure, steps, tmp_path)
