"""Spectra of several orders on disk, and binned: orders never mix."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.io import whtlt, x1dints
from uptheramp.calibrate.series import Timing, bin_channels, usable_range, white
from uptheramp.calibrate.state import Spectra

N, FIRST, SECOND = 4, 60, 40


@pytest.fixture
def spectra():
    """Two orders whose wavelengths overlap; the first ten columns of both share noise."""
    rng = np.random.default_rng(2)
    length = FIRST + SECOND
    planes = [rng.uniform(50, 100, (N, length)) for _ in range(5)]
    dq = np.zeros((N, length), np.uint32)
    dq[1, 3] = 1
    wavelength = np.concatenate([np.linspace(2.8, 0.86, FIRST), np.linspace(1.4, 0.6, SECOND)])
    pairs = np.stack([np.arange(10), FIRST + np.arange(10)], 1).astype(np.int32)
    return Spectra(
        *planes,
        dq,
        np.full(length, 40.0),
        wavelength,
        np.arange(N),
        np.repeat(np.array([1, 2], np.int32), [FIRST, SECOND]),
        pairs,
        rng.normal(size=(N, 10)).astype(np.float32).astype(float),
        trace=rng.normal(size=(N, 3)),
        trace_err=rng.uniform(0.1, 1, (N, 3)),
        shared=rng.normal(size=(length, 2)).astype(np.float32).astype(float),
    )


def test_orders_are_written_each_in_its_table_and_read_back(spectra, prism, times_of, tmp_path):
    meta = prism(nints=N)
    x1dints.write(tmp_path / "a_x1dints.fits", spectra, meta, times_of(meta), {})
    again = x1dints.read(tmp_path / "a_x1dints.fits", 0)
    np.testing.assert_allclose(again.background, spectra.background, rtol=1e-14)  # a mean in the file, a sum here
    for name, value in vars(replace(spectra, background=again.background)).items():
        found = getattr(again, name)
        assert found == value if isinstance(value, str) else np.array_equal(found, value)
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    with datamodels.open(tmp_path / "a_x1dints.fits") as model:
        assert type(model).__name__ == "TSOMultiSpecModel"
        model.validate()
        assert [spec.spectral_order for spec in model.spec] == [1, 2]
        assert [spec.spec_table["FLUX"].shape for spec in model.spec] == [(N, FIRST), (N, SECOND)]


def test_columns_are_in_the_official_units(spectra, prism, times_of, tmp_path):
    meta = prism(nints=N)
    sr, path = 2.5e-13, tmp_path / "a_x1dints.fits"
    x1dints.write(path, replace(spectra, unit="Jy", pixel_sr=sr), meta, times_of(meta), {})
    with fits.open(path) as hdus:
        table = hdus["EXTRACT1D", 1]
        brightness = spectra.flux[:, :FIRST] / (1e6 * sr * 40)
        np.testing.assert_allclose(table.data["SURF_BRIGHT"], brightness)
        np.testing.assert_allclose(table.data["BACKGROUND"], spectra.background[:, :FIRST] / (1e6 * sr * 40))
        variance = table.data["SB_VAR_POISSON"] + table.data["SB_VAR_RNOISE"] + table.data["SB_VAR_FLAT"]
        np.testing.assert_allclose(table.data["SB_ERROR"], np.sqrt(variance))
        units = {c.name: c.unit for c in table.columns}
    assert (units["FLUX"], units["FLUX_VAR_FLAT"]) == ("Jy", "Jy^2")
    assert (units["BACKGROUND"], units["SB_VAR_FLAT"], units["NPIXELS"]) == ("MJy/sr", "MJy^2 / sr^2", None)
    again = x1dints.read(path, 0)
    assert (again.unit, again.pixel_sr) == ("Jy", sr)
    np.testing.assert_allclose(again.background, spectra.background)


def test_channels_take_one_order_each_in_its_range(spectra):
    mode = lookup.find_mode("niriss_soss")[1]
    when = Timing(59000 + np.arange(N) / 100.0, 10.0, np.zeros(FIRST + SECOND))
    _, binning = bin_channels(spectra, when, 20.0, mode.useful_range_um, mode.orders)
    first = np.arange(FIRST + SECOND) < FIRST
    mixed = (binning.weights[:, first] > 0).any(1) & (binning.weights[:, ~first] > 0).any(1)
    assert not mixed.any()
    middle = binning.edges_um.mean(1)
    assert (np.diff(middle) > 0).all()
    of_second = (binning.weights[:, ~first] > 0).any(1)
    assert (middle[of_second] < 0.86).all()
    assert (middle[~of_second] > 0.85).all()
    inside = usable_range(spectra, (0.7, 1.2), mode.orders)
    assert np.nanmin(inside[first]) > 0.851
    assert (np.nanmin(inside[~first]) > 0.7) & (np.nanmax(inside[~first]) < 0.851)


def test_white_light_has_a_column_for_each_order(spectra, tmp_path):
    when = Timing(59000 + np.arange(N) / 100.0, 10.0, np.zeros(FIRST + SECOND))
    good = replace(spectra, dq=np.zeros_like(spectra.dq))
    light, orders = white(good, when, (0.6, 2.9))
    assert orders == (1, 2)
    np.testing.assert_allclose(light.flux, [good.flux[:, :FIRST].sum(1), good.flux[:, FIRST:].sum(1)])
    whtlt.write(tmp_path / "w.ecsv", light, orders, when.time, "DN/s")
    table = Table.read(tmp_path / "w.ecsv", format="ascii.ecsv")
    np.testing.assert_allclose(table["whitelight_flux_order_2"], light.flux[1])
