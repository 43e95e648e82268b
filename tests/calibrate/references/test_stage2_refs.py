import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.flat import Flat
from uptheramp.calibrate.references.photom import Photom
from uptheramp.calibrate.references.wavemap import Wavemap

SHARED = Path(__file__).parents[3] / ".." / "shared"
COUNTS = {
    "nints": 3,
    "ngroups": 4,
    "nframes": 1,
    "groupgap": 0,
    "frame_divisor": 1,
    "outputs": 1,
    "frame_time_s": 1.0,
    "group_time_s": 1.0,
    "start_mjd": 6e4,
}
PRISM = ExposureMeta(
    instrument="NIRSPEC", detector="NRS1", exp_type="NRS_BRIGHTOBJ", subarray="SUB512", x_start=1025, y_start=959,
    x_size=24, y_size=8, fast_axis=2, slow_axis=1, pattern="NRSRAPID", filter="CLEAR", grating="PRISM", **COUNTS,
)  # fmt: skip
GRISM = ExposureMeta(
    instrument="NIRCAM", detector="NRCALONG", exp_type="NRC_TSGRISM", subarray="SUBGRISM64", x_start=1, y_start=1,
    x_size=24, y_size=8, fast_axis=-1, slow_axis=2, pattern="RAPID", filter="F322W2", pupil="GRISMR", channel="LONG",
    module="A", **COUNTS,
)  # fmt: skip
LRS = ExposureMeta(
    instrument="MIRI", detector="MIRIMAGE", exp_type="MIR_LRS-SLITLESS", subarray="SLITLESSPRISM", x_start=1,
    y_start=529, x_size=8, y_size=24, fast_axis=1, slow_axis=2, pattern="FASTR1", filter="P750L", **COUNTS,
)  # fmt: skip
MODES = (PRISM, GRISM, LRS)


def references(meta):
    rng = np.random.default_rng(1)
    unit = "MJy" if meta is PRISM else "MJy/sr"
    wavelength = rng.uniform(1, 5, meta.shape).astype(np.float32)
    wavelength[0, 0] = np.nan
    return {
        "flat.fits": Flat(
            rng.uniform(0.9, 1.1, meta.shape).astype(np.float32),
            np.full(meta.shape, 0.01, np.float32),
            np.zeros(meta.shape, np.uint32),
        ),
        "wavemap.fits": Wavemap(wavelength),
        "photom.fits": Photom(
            np.float32(2.5), np.linspace(1, 5, 7, dtype=np.float32), rng.random(7).astype(np.float32), unit
        ),
        "extract1d.json": Extract1d(
            np.array([1.25, 0.01]), np.array([5.5]), np.array([[[-0.5, 0.0], [0.5, 0.0]]]), 2 if meta is LRS else 1, 1
        ),
    }


@pytest.mark.parametrize("meta", MODES, ids=lambda m: m.instrument)
def test_what_is_written_is_read(tmp_path, meta):
    for name, reference in references(meta).items():
        reference.to_file(tmp_path / name, meta)
        again = type(reference).from_file(tmp_path / name, meta)
        for field, value in vars(reference).items():
            found = getattr(again, field)
            if isinstance(value, str | int | bool):
                assert found == value
            elif field == "lower" or name != "extract1d.json":
                np.testing.assert_array_equal(found, value)
                assert np.asarray(found).dtype == np.asarray(value).dtype
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(references(meta))


@pytest.mark.parametrize("meta", MODES, ids=lambda m: m.instrument)
def test_neutral_references_survive_a_file(tmp_path, meta):
    for cls, name in ((Flat, "a.fits"), (Wavemap, "b.fits"), (Extract1d, "c.json")):
        neutral = cls.neutral(meta)
        neutral.to_file(tmp_path / name, meta)
        again = cls.from_file(tmp_path / name, meta)
        for field, value in vars(neutral).items():
            np.testing.assert_array_equal(getattr(again, field), value)


def test_untidy_full_frame_flat_is_cut_and_flagged(tmp_path):
    data = np.ones((40, 60))
    data[10, 20], data[11, 21], data[12, 22] = np.nan, 0.0, 0.9
    dq = np.zeros(data.shape, np.uint32)
    dq[13, 23] = 2  # NO_FLAT_FIELD in the file's own numbering
    definition = np.array(
        [(1, 2, "NO_FLAT_FIELD", "")], dtype=[("BIT", "i4"), ("VALUE", "u4"), ("NAME", "S40"), ("D", "S9")]
    )
    primary = fits.PrimaryHDU()
    primary.header.update({"SUBARRAY": "GENERIC", "SUBSTRT1": 1, "SUBSTRT2": 1})
    hdus = [primary, fits.ImageHDU(data, name="SCI"), fits.ImageHDU(dq, name="DQ")]
    fits.HDUList([*hdus, fits.BinTableHDU(definition, name="DQ_DEF")]).writeto(tmp_path / "flat.fits")
    meta = replace(PRISM, x_start=19, y_start=10)
    flat = Flat.from_file(tmp_path / "flat.fits", meta)
    assert flat.data.shape == meta.shape
    assert flat.data.dtype == np.float32
    unusable = flags.DO_NOT_USE | flags.NO_FLAT_FIELD
    assert [flat.dq[k, 1 + k] for k in (1, 2, 3, 4)] == [unusable, unusable, 0, unusable]
    assert [flat.data[k, 1 + k] for k in (1, 2, 3, 4)] == [1, 1, np.float32(0.9), 1]
    assert np.all(flat.err == 0)


def test_flat_that_does_not_cover_the_window_is_refused(tmp_path):
    Flat.neutral(PRISM).to_file(tmp_path / "flat.fits", PRISM)
    with pytest.raises(InputError, match="covers"):
        Flat.from_file(tmp_path / "flat.fits", replace(PRISM, subarray="SUB1024A", x_start=1))


def test_photom_picks_the_row_and_prefers_the_exact_one(tmp_path):
    rows = [("P750L", "GENERIC", 1.0), ("P750L", "SLITLESSPRISM", 2.0), ("F560W", "SLITLESSPRISM", 3.0)]
    dtype = [("filter", "S12"), ("subarray", "S17"), ("photmjsr", "f4"), ("nelem", "i2")]
    dtype += [("wavelength", "f4", (4,)), ("relresponse", "f4", (4,))]
    tail = (3, [12, 8, 5, 0], [1, np.nan, 3, 0])
    table = np.array([(*row, *tail) for row in rows], dtype)
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table, name="PHOTOM")])
    hdus.writeto(tmp_path / "photom.fits")
    photom = Photom.from_file(tmp_path / "photom.fits", LRS)
    assert float(photom.conversion) == 2.0
    np.testing.assert_array_equal(photom.wavelength_um, np.float32([5, 12]))
    np.testing.assert_array_equal(photom.response, np.float32([3, 1]))
    assert float(Photom.from_file(tmp_path / "photom.fits", replace(LRS, subarray="FULL")).conversion) == 1.0
    with pytest.raises(InputError, match="no row"):
        Photom.from_file(tmp_path / "photom.fits", replace(LRS, filter="F770W"))
    with pytest.raises(InputError, match="no photom table is known"):
        Photom.from_file(tmp_path / "photom.fits", replace(LRS, exp_type="MIR_IMAGE"))


def test_start_and_stop_pixels_are_inclusive(tmp_path):
    path = tmp_path / "extract1d.json"
    aperture = {"id": "S1600A1", "dispaxis": 1, "ystart": 2, "ystop": 5, "xstart": 0, "xstop": 23}
    path.write_text(json.dumps({"apertures": [{"id": "S200A1", "dispaxis": 2}, aperture]}))
    found = Extract1d.from_file(path, PRISM)
    assert (found.lower[0], found.upper[0], found.dispersion_axis, len(found.background)) == (1.5, 5.5, 1, 0)
    aperture["extract_width"] = 3
    path.write_text(json.dumps({"apertures": [aperture]}))
    found = Extract1d.from_file(path, PRISM)
    assert (found.lower[0], found.upper[0]) == (2.0, 5.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not a readable"),
        ('{"apertures": []}', "no target aperture"),
        ('{"apertures": [{"id": "ANY", "dispaxis": 3}]}', "dispaxis 3"),
        ('{"apertures": [{"id": "ANY", "bkg_order": 6}]}', "bkg_order 6"),
        ('{"apertures": [{"id": "ANY", "bkg_order": 1.5}]}', "bkg_order 1.5"),
        ('{"apertures": [{"id": "ANY", "bkg_fit": "spline"}]}', "bkg_fit spline"),
        ('{"apertures": [{"id": "ANY", "src_coeff": [[1]]}]}', "alternate"),
    ],
)
def test_unreadable_apertures_end_in_one_line(tmp_path, text, words):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        Extract1d.from_file(path, PRISM)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_flight_and_ground_files(tmp_path):
    if not SHARED.is_dir():
        pytest.skip("the shared folder of real reference files is not beside the repository")
    real = SHARED / "realdata"
    lrs = replace(LRS, x_size=72, y_size=416)
    photom = Photom.from_file(real / "miri_lrs" / "ref_ers_hackathon" / "jwst_miri_photom_0071.fits", lrs)
    assert float(photom.conversion) == pytest.approx(35.249523)
    assert len(photom.wavelength_um) == 237
    assert np.all(np.diff(photom.wavelength_um) > 0)
    grism = Photom.from_file(real / "nircam_grism" / "eureka" / "jwst_nircam_photom_0064.fits", GRISM)
    assert grism.per_micron
    assert 2 < grism.wavelength_um[0] < grism.wavelength_um[-1] < 5
    prism = Photom.from_file(real / "nirspec_prism" / "eureka_ancil_ref" / "jwst_nirspec_photom_0014.fits", PRISM)
    assert prism.unit == "MJy"
    aperture = Extract1d.from_file(
        real / "miri_lrs" / "ref_jwebbinar" / "jwst_miri_extract1d_slitless_withbgr.json", lrs
    )
    assert (aperture.dispersion_axis, aperture.upper[0] - aperture.lower[0]) == (2, 11)
    np.testing.assert_array_equal(aperture.background, [[[15.5], [25.5]]])


def test_how_a_background_is_made_is_kept(tmp_path):
    path = tmp_path / "extract1d.json"
    aperture = {"id": "ANY", "dispaxis": 1, "bkg_coeff": [[1], [2]], "bkg_fit": "median", "smoothing_length": 6}
    for changes, expected in (
        ({}, (0, True, 5)),
        ({"bkg_fit": "mean", "bkg_order": 3, "smoothing_length": 2}, (0, False, 0)),
        ({"bkg_fit": "poly", "bkg_order": 3, "smoothing_length": 6.6}, (3, False, 7)),
    ):
        path.write_text(json.dumps({"apertures": [aperture | changes]}))
        read = Extract1d.from_file(path, PRISM)
        read.to_file(path, PRISM)
        for one in (read, Extract1d.from_file(path, PRISM)):
            assert (one.background_order, one.background_median, one.smoothing_px) == expected


def test_where_along_the_dispersion_there_is_an_aperture(tmp_path):
    path = tmp_path / "extract1d.json"
    aperture = {"id": "ANY", "dispaxis": 1, "xstart": 3.5, "xstop": 9, "independent_var": "wavelength"}
    path.write_text(json.dumps({"apertures": [aperture | {"ystart": 4, "ystop": 6}]}))
    read = Extract1d.from_file(path, PRISM)
    assert (read.first, read.last) == (4, 9)
    read.to_file(path, PRISM)
    again = Extract1d.from_file(path, PRISM)
    inside = again.between(PRISM.shape)
    np.testing.assert_array_equal(np.flatnonzero(inside), np.arange(4, 10))
    assert inside.shape == (1, PRISM.x_size)
