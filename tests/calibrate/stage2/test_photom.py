"""Conversions that fade, those of SOSS, and flux densities: by hand, and beside the official functions."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.io import fits

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references import fading
from uptheramp.calibrate.references.photom import Photom
from uptheramp.calibrate.references.photom_soss import PhotomSoss
from uptheramp.calibrate.stage2 import photom_soss
from uptheramp.calibrate.stage2.photom import PhotomParams, PhotomRefs, photom
from uptheramp.calibrate.stage2.rescale import in_jansky
from uptheramp.calibrate.state import Rates, Spectra, take

SOSS = SimpleNamespace(
    instrument="NIRISS",
    detector="NIS",
    exp_type="NIS_SOSS",
    filter="CLEAR",
    pupil="GR700XD",
    grating="",
    channel="",
    module="",
    subarray="SUBSTRIP256",
    pattern="NISRAPID",
    middle_mjd=60000.25,
    geometry=None,
)
LAWS = {
    "TIMECOEFF_LINEAR": {"t0": 59700.0, "lossperyear": 0.1},
    "TIMECOEFF_EXPONENTIAL": {"t0": 59800.0, "amplitude": 0.2, "tau": 100.0, "const": 0.8},
    "TIMECOEFF_POWERLAW": {"t0": 59635.0, "year1value": 0.9, "tsoft": 1.0, "alpha": -0.05},
}


def hdus(laws):
    """TIMECOEFF tables of two rows, of which the second one has the given numbers."""
    found = [fits.PrimaryHDU()]
    for name in laws:
        values = {c: [59000.0 if c == "t0" else 0.5, v] for c, v in LAWS[name].items()}
        key = fits.Column("filter", "12A", array=["OTHER", "CLEAR"])
        columns = [key, *(fits.Column(c, "E", array=np.float32(v)) for c, v in values.items())]
        found.append(fits.BinTableHDU.from_columns(columns, name=name))
    return fits.HDUList(found)


def test_laws_at_chosen_days():
    assert fading.fading(hdus(["TIMECOEFF_LINEAR"]), 1, 59700 + 730, "x") == pytest.approx(0.8)
    assert fading.fading(hdus(["TIMECOEFF_EXPONENTIAL"]), 1, 59900, "x") == pytest.approx(0.2 / np.e + 0.8)
    assert fading.fading(hdus(["TIMECOEFF_POWERLAW"]), 1, 60000, "x") == pytest.approx(0.9)
    assert fading.fading(hdus([]), 1, 60000, "x") == 1
    both = fading.fading(hdus(["TIMECOEFF_LINEAR", "TIMECOEFF_POWERLAW"]), 1, 60000, "x")
    assert both == pytest.approx(0.9 * (1 - 0.1 * 300 / 365))
    with pytest.raises(InputError, match="TIMECOEFF_LINEAR"):
        fading.fading(hdus(["TIMECOEFF_LINEAR"]), 5, 60000, "a.fits")


@pytest.mark.peer
@pytest.mark.parametrize("mjd", [59810.5, 60211.0, 61500.25])
def test_laws_are_the_official_ones(mjd):
    official = pytest.importorskip("jwst.photom.time_dependence")
    model = SimpleNamespace(phot_table=np.zeros(2), hasattr=lambda name: True)
    for name, values in LAWS.items():
        setattr(model, name.lower(), {c: np.array([v, v]) for c, v in values.items()})
    expected = official.get_correction_table(model, mjd)[1]
    assert fading.fading(hdus(LAWS), 1, mjd, "x") == pytest.approx(expected, rel=1e-6)


def test_the_time_correction_can_be_left_out():
    one = np.ones((1, 1, 2), np.float32)
    wavelength = np.float32([[1.5, 2]])
    state = Rates(one, one, one, one, np.zeros(one.shape, np.uint32), np.arange(1), wavelength)
    table = Photom(np.float32(10), np.float32([1, 3]), np.float32([1, 1]), "MJy", fade=np.float32(0.8))
    corrected, _ = photom(state, PhotomRefs(table), PhotomParams())
    np.testing.assert_allclose(corrected.data, 12.5)
    np.testing.assert_allclose(corrected.var_flat, 12.5**2)
    plain, _ = photom(state, PhotomRefs(table), PhotomParams(apply_time_correction=False))
    np.testing.assert_allclose(plain.data, 10)


def test_a_photom_file_with_time_dependence(tmp_path):
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    knots = np.float32([1, 2, 3])
    kind = [("filter", "S12"), ("subarray", "S17"), ("photmjsr", "f4"), ("uncertainty", "f4"), ("nelem", "i2")]
    kind += [(name, "f4", (3,)) for name in ("wavelength", "relresponse", "reluncertainty")]
    rows = [("P750L", sub, 2.0, 0.1, 3, knots, knots, knots) for sub in ("FULL", "SLITLESSPRISM")]
    lost = np.array(
        [("P750L", "FULL", 59000, 0.5), ("P750L", "SLITLESSPRISM", 59635, 0.1)],
        [("filter", "S12"), ("subarray", "S17"), ("t0", "f4"), ("lossperyear", "f4")],
    )
    path = tmp_path / "photom.fits"
    with datamodels.MirLrsPhotomModel(phot_table=np.array(rows, kind), timecoeff_linear=lost) as model:
        model.meta.photometry.pixelarea_steradians = 2.8e-13
        model.save(path)
    meta = SimpleNamespace(**vars(SOSS) | {"exp_type": "MIR_LRS-SLITLESS", "filter": "P750L"})
    meta.subarray, meta.middle_mjd = "SLITLESSPRISM", 60000.0
    read = Photom.from_file(path, meta)
    assert read.fade == pytest.approx(0.9)
    assert read.pixel_sr == pytest.approx(2.8e-13)


SHARED = Path(__file__).parents[3].parent / "shared" / "realdata" / "miri_lrs" / "ref_ers_hackathon"


@pytest.mark.peer
def test_the_real_photom_0071_converts_as_officially():
    """CRDS's file of the MIRI prism, at wavelengths that run beyond its table on both sides."""
    path = SHARED / "jwst_miri_photom_0071.fits"
    if not path.is_file():
        pytest.skip("no ../shared/realdata")
    official = pytest.importorskip("jwst.photom.photom")
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    meta = SimpleNamespace(**vars(SOSS) | {"exp_type": "MIR_LRS-SLITLESS", "filter": "P750L"})
    meta.subarray = "SLITLESSPRISM"
    table = Photom.from_file(path, meta)
    wavelength = np.linspace(4.5, 13, 3000, dtype=np.float32).reshape(1, -1)
    with datamodels.MirLrsPhotomModel(path) as model:
        row = next(r for r in model.phot_table if r["subarray"].strip() == "SLITLESSPRISM")
        knots, response = (np.asarray(row[n][: row["nelem"]], float) for n in ("wavelength", "relresponse"))
        conversion = float(row["photmjsr"])
        assert table.pixel_sr == pytest.approx(model.meta.photometry.pixelarea_steradians)
    one = np.ones((1, *wavelength.shape), np.float32)
    slit = datamodels.SlitModel(data=one.copy(), wavelength=wavelength)
    setup = SimpleNamespace(exptype="MIR_LRS-SLITLESS", grating=None, filter="P750L", pupil=None, inverse=False)
    rising = np.argsort(knots)
    factor, absent = official.DataSet.create_2d_conversion(
        setup, slit, setup.exptype, conversion, knots[rising], response[rising], None
    )
    state = Rates(one, one, one, one, np.zeros(one.shape, np.uint32), np.arange(1), wavelength)
    ours, _ = photom(state, PhotomRefs(table), PhotomParams())
    np.testing.assert_allclose(ours.data[0], factor, rtol=3e-6)
    np.testing.assert_array_equal((ours.dq[0] & flags.DO_NOT_USE) != 0, absent)
    assert 0 < absent.sum() < absent.size / 3


def spectra(dtype=np.float32):
    """Two orders of five elements; their first two share noise, one element is NaN and one outside the tables."""
    rng = np.random.default_rng(4)
    planes = [rng.uniform(50, 100, (3, 10)).astype(dtype) for _ in range(5)]
    planes[0][1, 3] = np.nan
    wavelength = np.concatenate([np.linspace(2.9, 0.9, 5), np.linspace(1.4, 0.6, 5)]).astype(dtype)
    pairs = np.array([[0, 5], [1, 6]], np.int32)
    covariance = rng.normal(size=(3, 2)).astype(dtype)
    dq, order = np.zeros((3, 10), np.uint32), np.repeat(np.int32([1, 2]), 5)
    return Spectra(*planes, dq, np.full(10, 40, dtype), wavelength, np.arange(3), order, pairs, covariance)


def table(dtype=np.float32):
    knots = np.array([[0.6, 1.5, 2.8], [0.5, 1.0, 1.6]], dtype)
    response = np.array([[1, 2, 1.5], [3, 1, 2]], dtype)
    number = np.array([2e-3, 5e-3], dtype)
    return PhotomSoss(number, knots, response, knots[:, -1], np.array([0.9, 0.8], dtype), (1, 2))


convert = eqx.filter_jit(photom_soss.photom)


def test_each_soss_order_has_its_conversion():
    before, refs = spectra(), photom_soss.PhotomRefs(table())
    after, _ = convert(before, refs, PhotomParams())
    factor = np.concatenate(
        [
            2e-3
            / 0.9
            * np.interp(before.wavelength_um[:5], *(getattr(table(), n)[0] for n in ("wavelength_um", "response"))),
            5e-3
            / 0.8
            * np.interp(before.wavelength_um[5:], *(getattr(table(), n)[1] for n in ("wavelength_um", "response"))),
        ]
    )
    factor[0] = 0  # 2.9 um is beyond the table
    np.testing.assert_allclose(after.flux, before.flux * factor, rtol=2e-6)
    np.testing.assert_allclose(after.var_poisson, before.var_poisson * factor**2, rtol=2e-6)
    np.testing.assert_allclose(after.covariance, before.covariance * factor[[0, 1]] * factor[[5, 6]], rtol=2e-6)
    expected = np.zeros((3, 10), np.uint32)
    expected[:, 0] = flags.DO_NOT_USE
    np.testing.assert_array_equal(after.dq, expected)
    assert (before.unit, after.unit) == ("DN/s", "MJy")
    assert convert(before, photom_soss.PhotomRefs(None), PhotomParams())[0].unit == "DN/s"


@pytest.mark.peer
def test_soss_conversion_is_the_official_one():
    official = pytest.importorskip("jwst.photom.photom")
    before, refs = spectra(), table()
    after, _ = convert(before, photom_soss.PhotomRefs(refs), PhotomParams(apply_time_correction=False))
    for k, mine in enumerate((slice(0, 5), slice(5, 10))):
        spec = SimpleNamespace(spec_table={"WAVELENGTH": np.array(before.wavelength_um[None, mine], float)})
        knots = refs.wavelength_um[k].astype(float), refs.response[k].astype(float)
        factor, _ = official.DataSet.create_1d_conversion(None, spec, float(refs.conversion[k]), *knots, 0)
        np.testing.assert_allclose(after.flux[:, mine], before.flux[:, mine] * factor, rtol=3e-6)


def test_soss_step_keeps_what_steps_promise(same):
    """Pure, jit = eager, structure and dtype kept, chunks = whole, neutral = as it was, finite and right gradients."""
    before, refs = spectra(), photom_soss.PhotomRefs(table())
    eager, _ = photom_soss.photom(before, refs, PhotomParams())
    same(convert(before, refs, PhotomParams())[0], eager, rtol=1e-6)
    assert jax.tree.structure(replace(eager, unit=before.unit)) == jax.tree.structure(before)
    part = take(before, slice(1, None))
    np.testing.assert_array_equal(photom_soss.photom(part, refs, PhotomParams())[0].flux, eager.flux[1:])
    neutral, _ = photom_soss.photom(before, photom_soss.PhotomRefs(PhotomSoss.neutral(None)), PhotomParams())
    same(replace(neutral, unit=before.unit), before)

    refs64 = table(np.float64)

    def total(t):
        moved = replace(refs64, conversion=refs64.conversion + t[0], response=refs64.response + t[1] * 0.3)
        s = replace(spectra(np.float64), flux=spectra(np.float64).flux + 70 * t[2])
        after, _ = photom_soss.photom(s, photom_soss.PhotomRefs(moved), PhotomParams())
        return jnp.nansum(after.flux) + jnp.nansum(after.var_rnoise) + jnp.nansum(after.covariance)

    slopes = jax.grad(total)(jnp.zeros(3))
    for k in range(3):
        h = 1e-6 * np.eye(3)[k]
        assert float(slopes[k]) == pytest.approx(float(total(h) - total(-h)) / 2e-6, rel=1e-6)


def test_soss_table_on_disk(tmp_path):
    pytest.importorskip("stdatamodels.jwst.datamodels")
    path = tmp_path / "photom.fits"
    long, short = np.float32([0.6, 1.5, 2.0, 2.8]), np.float32([0.5, 1.0, 1.6, 2.6])
    written = PhotomSoss(
        np.float32([1, 2]),
        np.stack([long, short]),
        np.ones((2, 4), np.float32),
        np.float32([2.8, 1.6]),
        np.ones(2),
        (1, 2),
    )
    written.to_file(path, SOSS)
    read = PhotomSoss.from_file(path, SOSS)
    assert read.order == (1, 2)
    np.testing.assert_array_equal(read.last_um, written.last_um)
    np.testing.assert_array_equal(read.wavelength_um[1, :3], short[:3])
    assert read.wavelength_um[1, 3] > 1.6
    np.testing.assert_array_equal(read.conversion, [1, 2])


def test_flux_densities_of_sums():
    mjy = replace(spectra(), unit="MJy")
    jy = in_jansky(mjy, None)
    np.testing.assert_allclose(jy.flux, mjy.flux * 1e6)
    assert jy.unit == "Jy"
    known = Photom(np.float32(1), np.float32([0, 1]), np.float32([1, 1]), pixel_sr=2e-13)
    jy = in_jansky(replace(spectra(), unit="MJy/sr"), known)
    np.testing.assert_allclose(jy.flux, mjy.flux * 2e-7, rtol=1e-6)
    np.testing.assert_allclose(jy.var_flat, mjy.var_flat * 4e-14, rtol=1e-6)
    assert (jy.unit, jy.pixel_sr) == ("Jy", 2e-13)
    for unchanged in (spectra(), replace(spectra(), unit="MJy/sr")):
        assert in_jansky(unchanged, None) is unchanged
