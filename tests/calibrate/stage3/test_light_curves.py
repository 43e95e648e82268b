from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.stage3.bins import between, edges_for, membership, pixel_boundaries
from uptheramp.calibrate.stage3.channels import channels
from uptheramp.calibrate.stage3.white_light import white_light
from uptheramp.calibrate.state import Spectra, single_order

N, P = 300, 40
TIME = 60000 + np.arange(N) / 1440


def spectra(seed=0, descending=False):
    """Counts-like spectra with a box-shaped dip of 1 %, and Poisson and read noise of the variances they state."""
    rng = np.random.default_rng(seed)
    clean = 1e5 * (1 + np.sin(np.arange(P) / 6) ** 2)
    dip = np.where(abs(np.arange(N) - 150) < 50, 0.99, 1.0)
    read = np.where(np.arange(P) < 10, 400.0, 30.0)
    poisson = np.broadcast_to(clean, (N, P))
    flux = dip[:, None] * clean + rng.normal(size=(N, P)) * np.sqrt(poisson + read**2)
    wavelength = np.linspace(1, 5, P) ** 1.2
    wavelength = wavelength[::-1] if descending else wavelength
    f32 = [np.asarray(a, np.float32) for a in (flux, poisson, np.broadcast_to(read**2, (N, P)), np.zeros((N, P)))]
    made = Spectra(
        *f32,
        f32[3],
        np.zeros((N, P), np.uint32),
        np.ones(P, np.float32),
        wavelength.astype(np.float32),
        np.arange(N),
        **single_order(N, P),
    )
    return made, clean, dip, read


def bin_up(made, edges):
    return channels(made, between(edges), TIME, 50.0, np.arange(P) / 100)


@pytest.mark.parametrize("size", [{"resolving_power": 20}, {"width_um": 0.5}, {"pixels": 4}])
@pytest.mark.parametrize("descending", [False, True])
def test_channels_hold_every_pixel_once(size, descending):
    wavelength = np.asarray(spectra(descending=descending)[0].wavelength_um)
    edges = edges_for(wavelength, **size)
    members = membership(wavelength, np.ones(P), between(edges))
    assert np.all(np.diff(edges) > 0)
    np.testing.assert_array_equal(members.sum(0), 1)
    assert np.all(members.sum(1) >= 1)


def test_channel_sizes():
    fine = np.linspace(1, 5, 40001)
    edges = edges_for(fine, resolving_power=50)
    np.testing.assert_allclose((edges[1:] + edges[:-1]) / 2 / np.diff(edges), 50, rtol=0.02)
    np.testing.assert_allclose(np.diff(edges_for(fine, width_um=0.2)), 0.2, rtol=0.01)
    coarse = np.array([1.0, 2, 3, np.nan, 4, 6])
    np.testing.assert_array_equal(pixel_boundaries(coarse), [0.5, 1.5, 2.5, 3.5, 5, 7])
    np.testing.assert_array_equal(edges_for(coarse, pixels=2), [0.5, 2.5, 5])
    np.testing.assert_array_equal(edges_for(coarse, resolving_power=1000), pixel_boundaries(coarse))


def test_sizes_must_be_unambiguous():
    with pytest.raises(ValueError, match="one of"):
        edges_for(np.arange(1.0, 9), pixels=2, width_um=1.0)
    with pytest.raises(ValueError, match="at least two"):
        edges_for(np.array([np.nan, 1.0]), pixels=2)


@pytest.mark.parametrize("descending", [False, True])
def test_weights_are_flux_over_variance(descending):
    made, clean, _, read = spectra(descending=descending)
    curves, weights = bin_up(made, edges_for(made.wavelength_um, pixels=8))
    members = np.asarray(weights) > 0
    for c in range(5):
        inside = members[c]
        assert inside.sum() == 8
        shape = clean[inside] / (clean + read**2)[inside]
        np.testing.assert_allclose(weights[c, inside] / weights[c, inside].sum(), shape / shape.sum(), rtol=2e-3)
        direct = np.asarray(made.flux, np.float64)[:, inside] @ np.asarray(weights[c, inside])
        np.testing.assert_allclose(curves.flux[c], direct, rtol=1e-12)
        offset = np.average(np.arange(P)[inside] / 100, weights=(shape * clean[inside]))
        assert float(curves.time_offset_s[c]) == pytest.approx(offset, abs=1e-3)
    assert {np.asarray(x).dtype for x in (curves.flux, curves.err, curves.time)} == {np.dtype(np.float64)}
    np.testing.assert_allclose(np.median(curves.flux, 1), 1, atol=5e-3)


def test_errors_and_depth_are_right():
    made, _, dip, _ = spectra(3)
    curves, _ = bin_up(made, edges_for(made.wavelength_um, pixels=10))
    out = dip == 1
    scatter = np.std(np.asarray(curves.flux)[:, out], axis=1, ddof=1)
    bound = 4 / np.sqrt(2 * out.sum())
    np.testing.assert_allclose(scatter / np.asarray(curves.err)[:, 0], 1, atol=bound)
    depth = 1 - np.mean(curves.flux[:, ~out], axis=1) / np.mean(curves.flux[:, out], axis=1)
    error = scatter * np.sqrt(1 / out.sum() + 1 / (~out).sum())
    assert np.all(abs(depth - 0.01) < 4 * error)


def test_missing_points_do_not_bias():
    made, _, _, _ = spectra(1)
    edges = edges_for(made.wavelength_um, pixels=8)
    whole, weights = bin_up(made, edges)
    flux, dq = made.flux.copy(), made.dq.copy()
    flux[20, 3], flux[200:, 12], dq[70, 20] = np.nan, np.nan, flags.DO_NOT_USE
    flux[70, 20] = 1e9
    holed, _ = bin_up(replace(made, flux=flux, dq=dq), edges)
    before, after = np.asarray(whole.flux), np.asarray(holed.flux)
    touched = np.zeros(before.shape, bool)
    touched[0, 20] = touched[2, 70] = touched[1, 200:] = True
    assert np.all(abs(after - before)[touched] < 5 * np.asarray(holed.err)[touched])
    np.testing.assert_allclose(after[3:], before[3:], rtol=1e-12)
    assert abs(np.mean(holed.flux[1, 200:]) - np.mean(whole.flux[1, 200:])) < 3e-4
    assert holed.err[1, 250] > 1.04 * whole.err[1, 250]


def test_points_that_lost_most_of_their_light_are_not_used():
    made, _, _, _ = spectra()
    flux = made.flux.copy()
    flux[5, :6] = np.nan
    curves, _ = bin_up(replace(made, flux=flux), edges_for(made.wavelength_um, pixels=8))
    assert np.isnan(curves.flux[0, 5])
    assert np.isnan(curves.err[0, 5])
    assert np.isfinite(np.delete(np.asarray(curves.flux), 5, 1)).all()


def test_a_channel_without_light_is_nan_and_harms_no_gradient():
    made, _, _, _ = spectra()
    flux = made.flux.copy()
    flux[:, :8] = np.nan
    edges = edges_for(made.wavelength_um, pixels=8)

    def total(f):
        curves, _ = bin_up(replace(made, flux=f), edges)
        planes = (curves.flux, curves.err)
        return sum(jnp.sum(jnp.where(jnp.isfinite(p), p, 0)) for p in planes), curves

    (_, curves), slope = jax.value_and_grad(total, has_aux=True)(jnp.asarray(flux))
    assert np.isnan(curves.flux[0]).all()
    assert np.isfinite(slope).all()
    assert np.all(np.asarray(slope)[:, 8:] > 0)


def test_white_light_is_the_sum():
    made, _, _, _ = spectra()
    curve, weights = white_light(made, TIME, 50.0, np.zeros(P), min_wavelength=2.0, max_wavelength=4.0)
    inside = (np.asarray(made.wavelength_um) >= 2) & (np.asarray(made.wavelength_um) <= 4)
    np.testing.assert_allclose(curve.flux[0], made.flux[:, inside].astype(np.float64).sum(1), rtol=1e-12)
    variance = (made.var_poisson + made.var_rnoise)[:, inside].astype(np.float64).sum(1)
    np.testing.assert_allclose(curve.err[0], np.sqrt(variance), rtol=1e-6)
    np.testing.assert_array_equal(weights[0], inside)
    with pytest.raises(ValueError, match="no dispersion pixel"):
        white_light(made, TIME, 50.0, np.zeros(P), min_wavelength=30.0)


@pytest.mark.peer
def test_official_white_light_is_the_same_sum():
    official = pytest.importorskip("jwst.white_light.white_light")
    made, _, _, _ = spectra()
    flux = made.flux.astype(np.float64)
    table = {
        "MJD-AVG": TIME.copy(),
        "TDB-MID": TIME.copy(),
        "FLUX": flux,
        "WAVELENGTH": np.tile(made.wavelength_um, (N, 1)),
    }

    class Table(dict):
        columns = {"FLUX": SimpleNamespace(unit="Jy")}

        def __len__(self):
            return N

    spec = SimpleNamespace(spec_table=Table(table), spectral_order=1, detector="NRS1")
    model = pytest.importorskip("stdatamodels.jwst.datamodels").TSOMultiSpecModel()
    model = SimpleNamespace(spec=[spec], meta=model.meta)
    found = official.white_light(model, min_wave=2.0, max_wave=4.0)
    ours, _ = white_light(made, TIME, 50.0, np.zeros(P), min_wavelength=2.0, max_wavelength=4.0)
    np.testing.assert_allclose(np.asarray(found["whitelight_flux_NRS1"]), ours.flux[0], rtol=1e-12)
