from dataclasses import replace

import equinox as eqx
import numpy as np
import pytest

from uptheramp.calibrate.fit.channels import depth_derivative, fit_channels
from uptheramp.calibrate.fit.spectrum import planet_spectrum
from uptheramp.calibrate.fit.system import Priors
from uptheramp.calibrate.fit.white import fit_white

T0 = 59787.0567
TIME = T0 + np.linspace(-0.1, 0.1, 120)
DEPTHS = np.array([0.0205, 0.0215, 0.0215, 0.0205])  # no correlation with the read-out times
OFFSETS_S = np.array([0.0, 20.0, 40.0, 60.0])


@pytest.fixture(scope="module")
def plain(system):
    return replace(system, priors=Priors())


@pytest.fixture(scope="module")
def build(plain, curves_of):
    u = plain.limb_darkening.at(np.linspace(1.0, 4.0, 4))

    def make(noise=0.0):
        return curves_of(plain, DEPTHS, u, noise, t0=T0, time=TIME, offset_s=OFFSETS_S)

    return make


def test_noise_free_depths_at_their_own_times(build, plain):
    spectrum, white, channels = planet_spectrum(build(), plain)
    np.testing.assert_allclose(spectrum.depth, DEPTHS, atol=3e-7)
    assert float(white.t0) == pytest.approx(T0, abs=2e-6)
    assert channels.converged.all()


def test_read_out_time_matters(build, plain):
    """Without the offsets, the channel read 30 s before the mean leaves the residuals of a shifted transit."""
    data = build()
    told = planet_spectrum(data, plain)[2]
    untold = planet_spectrum(eqx.tree_at(lambda d: d.time_offset_s, data, np.zeros(4)), plain)[2]
    rms = [np.sqrt(np.mean(np.asarray(c.residuals)[0] ** 2)) for c in (told, untold)]
    assert rms[0] < 1e-6 < 1e-4 < rms[1]


def test_empty_and_broken_channels_are_values(build, plain):
    rng = np.random.default_rng(1)
    data = build(1e-4 * rng.standard_normal((4, 120)))
    flux = np.asarray(data.flux).copy()
    flux[1] = np.nan
    flux[2, :] = 0.0
    flux[3, ::5] = np.nan
    spectrum, _, channels = planet_spectrum(eqx.tree_at(lambda d: d.flux, data, flux), plain)
    assert channels.converged.tolist() == [True, False, False, True]
    assert np.isnan(np.asarray(spectrum.depth)[[1, 2]]).all()
    assert np.isfinite(np.asarray(spectrum.covariance)[np.ix_([0, 3], [0, 3])]).all()
    assert np.all(np.asarray(channels.depth_response)[3, ::5] == 0)


def test_scale_of_flux_does_not_matter(build, plain):
    data = build(1e-4 * np.random.default_rng(2).standard_normal((4, 120)))
    white = fit_white(data, plain)
    one = fit_channels(data, plain, white)
    other = fit_channels(eqx.tree_at(lambda d: d.flux, data, np.asarray(data.flux) * 1e6), plain, white)
    np.testing.assert_allclose(one.depth, other.depth, rtol=1e-9)
    np.testing.assert_allclose(one.depth_error, other.depth_error, rtol=1e-6)


def test_limb_darkening_fitted_costs_precision(build, plain):
    data = build(1e-4 * np.random.default_rng(3).standard_normal((4, 120)))
    white = fit_white(data, plain)
    held = fit_channels(data, plain, white)
    fitted = fit_channels(data, plain, white, limb_darkening="fitted")
    assert np.all(np.asarray(fitted.depth_error) > np.asarray(held.depth_error))
    assert np.all(np.abs(np.asarray(fitted.depth) - DEPTHS) < 4 * np.asarray(fitted.depth_error))


def test_noisy_channels_converge_with_free_limb_darkening(plain, curves_of):
    rng, number = np.random.default_rng(1), 40
    u = plain.limb_darkening.at(np.linspace(1.0, 4.0, number))
    noise = 1.5e-3 * rng.standard_normal((number, len(TIME)))
    data = curves_of(plain, np.full(number, 0.021), u, noise, t0=T0, time=TIME, offset_s=np.zeros(number))
    fits = fit_channels(data, plain, fit_white(data, plain), limb_darkening="fitted")
    assert fits.converged.all()
    pull = (np.asarray(fits.depth) - 0.021) / np.asarray(fits.depth_error)
    assert np.abs(pull).max() < 5


def test_the_exact_derivative_is_what_the_fit_does(build, plain):
    rng = np.random.default_rng(4)
    curves = build(3e-3 * rng.standard_normal((4, 120)))  # so noisy that what residuals bend is seen
    white = fit_white(curves, plain)
    found = fit_channels(curves, plain, white)
    derivative = np.asarray(depth_derivative(curves, plain, white, found))
    step = 1e-4 * rng.standard_normal((4, 120))
    ahead, behind = (fit_channels(replace(curves, flux=curves.flux + s * step), plain, white).depth for s in (1, -1))
    difference = np.asarray(ahead - behind) / 2
    np.testing.assert_allclose((derivative * step).sum(1), difference, rtol=1e-4)
    level = np.median(np.asarray(curves.flux), axis=1)[:, None]
    plainly = (np.asarray(found.depth_response) / level * step).sum(1)
    assert np.abs(plainly / difference - 1).max() > 3e-3
