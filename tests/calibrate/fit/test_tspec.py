import numpy as np
import pytest
from astropy.table import Table

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io import tspec
from uptheramp.calibrate.state import PlanetSpectrum


@pytest.fixture
def spectrum():
    factor = np.random.default_rng(1).standard_normal((4, 4)) * 1e-5
    depth = np.array([0.021, 0.0212, np.nan, 0.0215])
    return PlanetSpectrum(np.linspace(1, 2, 4), np.full(4, 0.1), depth, factor @ factor.T + 1e-9 * np.eye(4))


def test_round_trip(tmp_path, spectrum):
    table, image = tspec.write(tmp_path, "jw01366", spectrum, {"system": "WASP-39 b"})
    assert (table.name, image.name) == ("jw01366_tspec.ecsv", "jw01366_tspec.fits")
    whole = tspec.read(image)
    for name in ("wavelength_um", "half_width_um", "depth", "covariance"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(spectrum, name))
    short = tspec.read(table)
    np.testing.assert_allclose(short.error, spectrum.error, rtol=1e-12)
    assert not list(tmp_path.glob(".partial*"))


def test_units_and_meta(tmp_path, spectrum):
    table = Table.read(tspec.write(tmp_path, "x", spectrum, {"system": "WASP-39 b"})[0], format="ascii.ecsv")
    assert [str(table[c].unit) for c in ("wavelength", "half_width")] == ["um", "um"]
    assert table.meta["system"] == "WASP-39 b"


def test_cut_off_file_is_one_line(tmp_path, spectrum):
    _, image = tspec.write(tmp_path, "x", spectrum, {})
    image.write_bytes(image.read_bytes()[:2900])
    with pytest.raises(InputError, match="not a planet spectrum"):
        tspec.read(image)
    with pytest.raises(InputError, match="no such file"):
        tspec.read(tmp_path / "absent_tspec.ecsv")
