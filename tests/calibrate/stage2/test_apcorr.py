"""Aperture corrections: files there and back, the official figures, what becomes of variances."""

from dataclasses import replace
from types import SimpleNamespace

import equinox as eqx
import jax
import numpy as np
import pytest
from astropy.io import fits

import miri_lrs
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references.apcorr import Apcorr
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage2 import aperture_correction
from uptheramp.calibrate.stage2.extract_1d import Extract1dParams, Extract1dRefs, extract_1d
from uptheramp.calibrate.state import Rates

KNOTS = np.float32([5, 7, 9, 12])
SIZES = np.float32([3, 5, 9, 14])
extract = eqx.filter_jit(extract_1d)
factor = jax.jit(aperture_correction.factor)


def table(growing):
    """Factors that fall with size and rise with wavelength; sizes that grow with wavelength, or not."""
    size = SIZES[:, None] * (1 + growing * (KNOTS - 5) / 10)
    return Apcorr(KNOTS, size.astype(np.float32), (1 + KNOTS / (2 + SIZES[:, None])).astype(np.float32), not growing)


CASES = [(miri_lrs.META, table(0.0)), ("prism", table(0.7))]
ASKED = np.array([[4.0, 2.5, 6.3, 20, 7.25], [8.1, 3, 5, 9.9, 13]]), np.array([5.0, 4.0, 6.1, 11.7, 13.0])


@pytest.fixture(params=[0, 1], ids=["MIRI", "NIRSpec"])
def case(request, prism):
    meta, apcorr = CASES[request.param]
    return (prism() if meta == "prism" else meta), apcorr


def test_files_hold_what_was_written(case, tmp_path):
    meta, apcorr = case
    apcorr.to_file(tmp_path / "apcorr.fits", meta)
    again = Apcorr.from_file(tmp_path / "apcorr.fits", meta)
    assert again.continued == apcorr.continued
    for name in ("wavelength_um", "size_px", "factor"):
        np.testing.assert_allclose(getattr(again, name), getattr(apcorr, name), rtol=1e-6)


@pytest.mark.peer
def test_factors_are_the_official_ones(case, tmp_path):
    official = pytest.importorskip("jwst.extract_1d.apply_apcorr")
    meta, apcorr = case
    apcorr.to_file(tmp_path / "apcorr.fits", meta)
    told = SimpleNamespace(
        instrument=SimpleNamespace(name=meta.instrument, filter=meta.filter, grating=meta.grating),
        exposure=SimpleNamespace(type=meta.exp_type),
        subarray=SimpleNamespace(name=meta.subarray),
    )
    model = SimpleNamespace(meta=told)
    slit = {} if meta.instrument == "MIRI" else {"slit": "S1600A1"}
    rows = fits.getdata(tmp_path / "apcorr.fits", "APCORR")
    theirs = official.select_apcorr(model)(model, rows, "pixels", **slit)
    (sizes, wavelength), found = ASKED, np.asarray(factor(apcorr, ASKED[1], ASKED[0]))
    columns = [f"{kind}{name}" for kind in ("flux", "sb") for name in ("_var_poisson", "_var_rnoise", "_var_flat")]
    columns += ["flux", "flux_error", "surf_bright", "sb_error"]
    for size, mine in zip(sizes, found, strict=True):
        spectrum = np.ones(5, [(name, "f8") for name in ("npixels", "wavelength", *columns)])
        spectrum["npixels"], spectrum["wavelength"] = size, wavelength
        theirs.apply(spectrum)
        np.testing.assert_allclose(mine, spectrum["flux"], rtol=1e-6)
        np.testing.assert_allclose(mine**2, spectrum["flux_var_flat"], rtol=1e-6)


def test_beyond_the_table():
    sizes, wavelength = np.array([[5.0, 5, 5, 5]]), np.array([4.0, 7.0, 13.0, np.nan])
    middle, end = 1 + 7 / 7, 1 + 12 / 7
    np.testing.assert_allclose(factor(table(0.0), wavelength, sizes), [[1 + 5 / 7, middle, end, 1]], rtol=1e-6)
    growing = replace(table(0.0), continued=False)
    np.testing.assert_allclose(factor(growing, wavelength, sizes), [[1, middle, 1, 1]], rtol=1e-6)


@pytest.mark.parametrize(("missing", "size"), [("omit", 4.0), ("rescale", 5.0)])
def test_spectra_and_their_errors_are_corrected(missing, size):
    data = np.ones((2, 11, 3), np.float32)
    dq = np.zeros(data.shape, np.uint32)
    dq[1, 4, 2] = 1
    wavelength = np.broadcast_to(np.float32([6, 7, 9]), (11, 3))
    state = Rates(data, 4 * data, 9 * data, 25 * data, dq, np.arange(2), wavelength)
    aperture = Extract1d(np.array([2.5]), np.array([7.5]), np.array([[[-0.5], [1.5]]]), 1)
    how = Extract1dParams(background="subtract", missing=missing, trace=False)
    plain, _ = extract(state, Extract1dRefs(aperture, None), how)
    with_file = Extract1dRefs(aperture, None, apcorr=table(0.0))
    out, _ = extract(state, with_file, how)
    expected = np.array([np.asarray(factor(table(0.0), wavelength[0], np.full((1, 3), n)))[0] for n in (5.0, size)])
    expected[1, :2] = expected[0, :2]  # only the third element lacks a pixel
    np.testing.assert_allclose(out.flux, plain.flux * expected, rtol=1e-6)
    for name in ("var_poisson", "var_rnoise", "var_flat"):
        np.testing.assert_allclose(getattr(out, name), getattr(plain, name) * expected**2, rtol=1e-6)
    np.testing.assert_allclose(out.background, plain.background)
    untouched, _ = extract(state, with_file, replace(how, apply_apcorr=False))
    np.testing.assert_allclose(untouched.flux, plain.flux)


def test_what_cannot_be_used_is_refused(tmp_path, prism):
    path = tmp_path / "apcorr.fits"
    table(0.0).to_file(path, miri_lrs.META)
    with pytest.raises(InputError, match="no aperture correction is known for NIS_SOSS"):
        Apcorr.from_file(path, replace(miri_lrs.META, exp_type="NIS_SOSS"))
    with pytest.raises(InputError, match="no row for"):
        Apcorr.from_file(path, replace(miri_lrs.META, subarray="FULL"))
    fits.setval(path, "SIZEUNIT", value="furlong", extname="APCORR")
    with pytest.raises(InputError, match=r"apcorr\.fits: sizes in furlong"):
        Apcorr.from_file(path, miri_lrs.META)


def test_sizes_in_arcsec_are_turned_into_pixels(case, tmp_path):
    meta, apcorr = case
    apcorr.to_file(tmp_path / "apcorr.fits", meta)
    fits.setval(tmp_path / "apcorr.fits", "SIZEUNIT", value="arcsec", extname="APCORR")
    across = 0.1105 if meta.instrument == "MIRI" else 0.1054
    np.testing.assert_allclose(
        Apcorr.from_file(tmp_path / "apcorr.fits", meta).size_px, apcorr.size_px / across, rtol=1e-6
    )
