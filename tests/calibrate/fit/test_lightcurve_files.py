from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io import lightcurve_files, published, whtlt
from uptheramp.calibrate.state import LightCurves

SHARED = Path(__file__).parents[3] / ".." / "shared" / "realdata"
TIME = 59787.0 + np.arange(20) / 1000.0
FLUX = 1.0 + 0.001 * np.sin(np.arange(20))


def check(light, err=True):
    np.testing.assert_allclose(light.time, TIME, atol=1e-8)
    np.testing.assert_allclose(light.flux, FLUX[None], atol=1e-9)
    assert np.isfinite(np.asarray(light.err)).all() == err


def test_ours(tmp_path):
    nothing = np.zeros(1)
    light = LightCurves(TIME, np.float64(30.0), FLUX[None], np.full((1, 20), 1e-3), nothing + 1, nothing, nothing)
    whtlt.write(tmp_path / "a_whtlt.ecsv", light, (1,), TIME - 0.003, "DN/s")
    back = lightcurve_files.read(tmp_path / "a_whtlt.ecsv")
    check(back)
    assert float(back.exposure_s) == 30.0


@pytest.mark.parametrize("shift", [0.0, 2400000.5])
@pytest.mark.parametrize("suffix", ["csv", "ecsv", "txt", "npy"])
def test_tables_and_julian_dates(tmp_path, suffix, shift):
    path = tmp_path / f"a.{suffix}"
    rows = np.array([TIME + shift, FLUX, np.full(20, 1e-3)])
    if suffix == "npy":
        np.save(path, rows)
    elif suffix == "txt":
        np.savetxt(path, rows.T, fmt="%.10f")
    else:
        table = Table(list(rows), names=["Time", "FLUX", "flux_err"])
        table.write(path, format="ascii.ecsv" if suffix == "ecsv" else "ascii.csv")
    check(lightcurve_files.read(path))


def test_long_table_becomes_channels(tmp_path):
    path = tmp_path / "a.csv"
    times, waves = np.tile(TIME, 2), np.repeat([2.0, 1.0], 20)
    flux = np.concatenate([FLUX, 2 * FLUX])
    Table([times, waves, flux], names=["time", "wavelength", "flux"])[:-1].write(path, format="ascii.csv")
    light = lightcurve_files.read(path)
    assert np.asarray(light.wavelength_um).tolist() == [1.0, 2.0]
    np.testing.assert_allclose(np.asarray(light.flux)[0, :-1], 2 * FLUX[:-1])
    assert np.isnan(np.asarray(light.flux)[0, -1])


def test_order_of_time_and_mask(tmp_path):
    data = np.array([[FLUX[::-1]], [np.full(20, 1e-3)]])
    mask = np.ones((1, 20), int)
    mask[0, 3] = 0
    images = [fits.ImageHDU(TIME[::-1], name="TIME_A"), fits.ImageHDU(np.array([1.0]), name="WAVE_A")]
    images += [fits.ImageHDU(data, name="DATA_A"), fits.ImageHDU(mask, name="MASK_A")]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(tmp_path / "a.fits")
    light = lightcurve_files.read(tmp_path / "a.fits")
    np.testing.assert_array_equal(light.time, TIME)
    assert np.flatnonzero(np.isnan(np.asarray(light.flux)[0])).tolist() == [16]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"colour,size\nred,3\n"),
        ("a.csv", b"time,flux\n1,2\n3,4\n"),
        ("a.csv", b"time,flux\n" + b"5.0,1.0\n" * 20),
        ("a.csv", b""),
        ("a.txt", b"\x00\x01\x02garbage"),
        ("a.npy", b"\x93NUMPY garbage"),
        ("a.fits", b"SIMPLE  = garbage"),
        ("a.ecsv", b"# %ECSV 1.0\n# ---\n# garbage: [\n"),
    ],
)
def test_garbled_files_are_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name) as caught:
        lightcurve_files.read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_missing_file():
    with pytest.raises(InputError, match="no such file"):
        lightcurve_files.read(Path("absent.csv"))


def test_published(tmp_path):
    names = "wave,wave_error,dppm,dppm_err,order,quality"
    text = f"# who: \xe9\n{names}\n2,0.1,21000,50,1,0\n1,0.1,22000,50,1,0\n3,0.1,9,5,1,1\n"
    (tmp_path / "p.csv").write_bytes(text.encode("latin-1"))
    spectrum = published.read(tmp_path / "p.csv")
    assert spectrum.wavelength_um.tolist() == [1, 2]
    np.testing.assert_allclose(spectrum.depth, [0.022, 0.021])
    (tmp_path / "q.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="not a spectrum"):
        published.read(tmp_path / "q.csv")


def test_flight_files():
    folder = SHARED / "lightcurves"
    if not folder.is_dir():
        pytest.skip("no ../shared/realdata beside the repository: flight light curves not checked")
    white = lightcurve_files.read(folder / "wasp-39b_niriss_soss_white" / "WASP-39b_WhiteLight.npy")
    assert white.flux.shape == (1, 537) and float(white.exposure_s) == pytest.approx(54.9, abs=0.1)
    channels = lightcurve_files.read(folder / "hat-p-18b_niriss_soss" / "hat-p-18b-2022-06-niriss-o1.fits")
    assert channels.flux.shape == (155, 469)
    assert np.all(np.diff(np.asarray(channels.wavelength_um)) > 0)
