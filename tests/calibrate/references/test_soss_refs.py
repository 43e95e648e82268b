"""References of the SOSS extraction: what is written is read, and the official pipeline sees the same in it."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.geometry import Geometry
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references.bkg import Bkg
from uptheramp.calibrate.references.pastasoss import COMMANDED_DEG, Pastasoss
from uptheramp.calibrate.references.speckernel import Speckernel
from uptheramp.calibrate.references.specprofile import Specprofile

SOSS = ExposureMeta(
    instrument="NIRISS", detector="NIS", exp_type="NIS_SOSS", subarray="SUBSTRIP256", x_start=1, y_start=1793,
    x_size=2048, y_size=256, fast_axis=-2, slow_axis=-1, pattern="NISRAPID", filter="CLEAR", pupil="GR700XD", nints=3,
    ngroups=4, nframes=1, groupgap=0, frame_divisor=1, outputs=1, frame_time_s=5.494, group_time_s=5.494,
    start_mjd=6e4,
)  # fmt: skip
STRIP = replace(SOSS, subarray="SUBSTRIP96", y_start=1803, y_size=96)


def pastasoss():
    x = np.arange(2048.0)
    trace = np.stack([85 - 0.08 * x + 3.5e-5 * x**2, 104 - 0.03 * x + 4e-5 * x**2])
    wavelength = np.stack([2.83 - 0.95e-3 * x, 1.41 - 0.45e-3 * x])
    outside = np.array([x < 4, (x < 4) | (x > 1800)])
    grid = np.linspace(0.5, 5.5, 11)
    planes = (np.where(outside, np.nan, trace), np.where(outside, np.nan, wavelength), grid, np.ones((2, 11)) * 0.3)
    return Pastasoss(*(np.asarray(p, np.float32) for p in planes), (1, 2))


def turned(meta, degrees):
    return replace(meta, geometry=Geometry(pupil_wheel_deg=COMMANDED_DEG + degrees))


def test_what_is_written_is_read(tmp_path):
    rng = np.random.default_rng(1)
    made = pastasoss()
    made.to_file(tmp_path / "p.asdf", SOSS)
    again = Pastasoss.from_file(tmp_path / "p.asdf", SOSS)
    assert again.order == made.order
    np.testing.assert_allclose(again.trace_px, made.trace_px, atol=1e-4)
    np.testing.assert_allclose(again.wavelength_um, made.wavelength_um, atol=1e-5)  # a polynomial, 0.01 pixel
    np.testing.assert_allclose(again.throughput, made.throughput)

    profile = rng.random((2, *SOSS.shape), np.float32)
    narrow = profile > 0.5
    Specprofile(profile, (1, 2), narrow).to_file(tmp_path / "s.fits", SOSS)
    found = Specprofile.from_file(tmp_path / "s.fits", SOSS)
    np.testing.assert_array_equal(found.profile, profile)
    np.testing.assert_array_equal(found.narrow, narrow)
    with fits.open(tmp_path / "s.fits") as hdus:
        np.testing.assert_allclose(hdus["ORDER", 2].data.sum(0), 1, rtol=1e-5)

    kernel = rng.random((61, 3), np.float32)
    Speckernel(np.array([0.5, 1.5, 5.5], np.float32), kernel, 5).to_file(tmp_path / "k.fits", SOSS)
    spread = Speckernel.from_file(tmp_path / "k.fits", STRIP)
    np.testing.assert_array_equal(spread.kernel, kernel)
    np.testing.assert_array_equal(spread.wavelength_um, np.array([0.5, 1.5, 5.5], np.float32))
    assert spread.per_px == 5

    sky = rng.random((2, *SOSS.shape), np.float32)
    Bkg(sky).to_file(tmp_path / "b.fits", SOSS)
    np.testing.assert_array_equal(Bkg.from_file(tmp_path / "b.fits", SOSS).data, sky)

    # the small window lies ten rows up in the large one
    np.testing.assert_array_equal(Bkg.from_file(tmp_path / "b.fits", STRIP).data, sky[:, 10:106])
    np.testing.assert_array_equal(Specprofile.from_file(tmp_path / "s.fits", STRIP).profile, profile[:, 10:106])
    strip = Pastasoss.from_file(tmp_path / "p.asdf", STRIP)
    np.testing.assert_allclose(strip.trace_px, made.trace_px - 10, atol=1e-4)


def test_neutral_references_survive_a_file(tmp_path):
    for cls, name in ((Specprofile, "a.fits"), (Bkg, "b.fits"), (Pastasoss, "c.asdf")):
        neutral = cls.neutral(SOSS)
        neutral.to_file(tmp_path / name, SOSS)
        again = cls.from_file(tmp_path / name, SOSS)
        for field, value in vars(neutral).items():
            found = getattr(again, field)
            assert found is None if value is None else np.allclose(found, value, atol=1e-5)


def test_padded_and_oversampled_profiles_become_pixels(tmp_path):
    rng = np.random.default_rng(2)
    native = rng.random((256, 2048)).astype(np.float32)
    fine = np.repeat(np.repeat(native / 2, 2, 0), 2, 1)  # half of a pixel's share in each half of it
    image = fits.ImageHDU(np.pad(fine, 6), name="ORDER")
    image.header.update({"ORDER": 1, "OVERSAMP": 2, "PADDING": 3})
    primary = fits.PrimaryHDU()
    primary.header.update({"SUBSTRT1": 1, "SUBSTRT2": 1793})
    fits.HDUList([primary, image]).writeto(tmp_path / "s.fits")
    np.testing.assert_allclose(Specprofile.from_file(tmp_path / "s.fits", SOSS).profile[0], native, rtol=1e-6)


def test_bad_files_end_in_one_line(tmp_path):
    pastasoss().to_file(tmp_path / "p.asdf", SOSS)
    with pytest.raises(InputError, match="PWCPOS"):
        Pastasoss.from_file(tmp_path / "p.asdf", turned(SOSS, 0.4))
    (tmp_path / "q.asdf").write_text("nothing")
    with pytest.raises(InputError, match="not a PASTASOSS"):
        Pastasoss.from_file(tmp_path / "q.asdf", SOSS)
    fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "s.fits")
    with pytest.raises(InputError, match="no extension ORDER"):
        Specprofile.from_file(tmp_path / "s.fits", SOSS)


@pytest.mark.peer
@pytest.mark.parametrize("degrees", [0.0, 0.12])
def test_the_official_model_gives_the_same_trace(tmp_path, degrees):
    official = pytest.importorskip("jwst.extract_1d.soss_extract.pastasoss")
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    pastasoss().to_file(tmp_path / "p.asdf", SOSS)
    with datamodels.PastasossModel(tmp_path / "p.asdf") as model:
        # a wavelength that depends on the wheel too
        model.wavecal_models[0].coefficients[2] = 0.02
        model.wavecal_models[0].coefficients[4] = -0.01
        model.save(tmp_path / "p.asdf")
    ours = Pastasoss.from_file(tmp_path / "p.asdf", turned(SOSS, degrees))
    with datamodels.PastasossModel(tmp_path / "p.asdf") as model:
        for k, order in enumerate((1, 2)):
            _, x, y, wavelength = official.get_soss_traces(COMMANDED_DEG + degrees, order, "SUBSTRIP256", model)
            column = np.asarray(x).astype(int)
            inside = np.isfinite(ours.trace_px[k][column])
            assert inside.mean() > 0.999
            np.testing.assert_allclose(ours.trace_px[k][column][inside], y[inside], atol=2e-3)
            np.testing.assert_allclose(ours.wavelength_um[k][column][inside], wavelength[inside], atol=1e-6)
