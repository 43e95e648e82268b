from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from uptheramp.calibrate.fit.covariance import common_factors, correlation, depth_covariance, noise_edge, shared
from uptheramp.calibrate.fit.spectrum import planet_spectrum
from uptheramp.calibrate.fit.system import Priors

T0 = 59787.0567
TIME = T0 + np.linspace(-0.1, 0.1, 100)
BINS, SEEDS = 16, 40
NOISE = 3e-4


@pytest.fixture(scope="module")
def spectra(system, curves_of):
    """Fit 40 draws of white noise, with or without a factor common to all channels."""
    plain = replace(system, priors=Priors())
    depths = np.linspace(0.0205, 0.022, BINS)
    u = plain.limb_darkening.at(np.linspace(1.0, 4.0, BINS))
    loading = np.linspace(0.5, 1.5, BINS)[:, None]

    def draw(common):
        rng = np.random.default_rng(17)
        out = []
        for _ in range(SEEDS):
            noise = NOISE * (rng.standard_normal((BINS, 100)) + common * loading * rng.standard_normal(100))
            spectrum, _, _ = planet_spectrum(curves_of(plain, depths, u, noise, t0=T0, time=TIME), plain)
            out.append((np.asarray(spectrum.depth) - depths, np.asarray(spectrum.covariance)))
        return out

    return draw


@pytest.mark.parametrize("common", [0.0, 0.7])
def test_chi_square_of_pulls(spectra, common):
    """z^T z / (S B) inside the 99 % interval of a perfect pipeline, and the mean over bins alone too.

    Expectation n / (n - 2) with n = 97 degrees of freedom. For the mean over bins, chi-square / 40: 0.52 to 1.67. With
    the common factor a diagonal covariance fails the second.
    """
    draws = spectra(common)
    chi2 = [e @ np.linalg.solve(c, e) for e, c in draws]
    expected, spread = 97 / 95, np.sqrt(2 / (SEEDS * BINS))
    assert abs(np.mean(chi2) / BINS - expected) < 2.576 * spread
    low, high = stats.chi2(SEEDS).ppf([0.005, 0.995]) / SEEDS
    full = np.mean([e.mean() ** 2 / (c.sum() / BINS**2) for e, c in draws])
    diagonal = np.mean([e.mean() ** 2 / (np.trace(c) / BINS**2) for e, c in draws])
    assert low < full < high
    assert (low < diagonal < high) == (common == 0.0)
    marginal = np.mean([e**2 / np.diag(c) for e, c in draws], axis=0)
    assert np.all(marginal < stats.chi2(SEEDS).ppf(1 - 0.005 / BINS) / SEEDS)


def test_white_noise_gives_a_diagonal():
    """Of 200 draws of white noise, no more than the 99.9 % quantile (8) of the expected 2 have a factor."""
    rng = np.random.default_rng(5)
    found = sum(common_factors(rng.standard_normal((40, 150)), 3).strength.size > 0 for _ in range(200))
    assert found <= 8


def test_planted_factor_is_recovered():
    """Noise 1 plus a common factor 0.8: correlation 0.64 / 1.64 between any two channels."""
    rng = np.random.default_rng(6)
    residuals = rng.standard_normal((60, 400)) + 0.8 * rng.standard_normal(400)
    matrix = shared(common_factors(residuals, 3))
    off = matrix[~np.eye(60, dtype=bool)]
    assert off.mean() == pytest.approx(0.64 / 1.64, abs=0.06)
    assert np.linalg.eigvalsh(matrix).min() > 0.2
    np.testing.assert_array_equal(np.diag(matrix), 1.0)


def test_edge_lies_above_marchenko_pastur():
    for channels, points in ((10, 100), (200, 150), (2000, 500)):
        assert 1 < noise_edge(channels, points) / (1 + np.sqrt(channels / points)) ** 2 < 1.4


def test_correlation_of_what_both_have():
    rng = np.random.default_rng(7)
    r = rng.standard_normal((3, 1000))
    r[1] = r[0]
    r[1, ::2] = np.nan
    r[2] = np.nan
    matrix = correlation(r)
    assert matrix[0, 1] == pytest.approx(1.0, abs=0.1)
    np.testing.assert_array_equal(matrix[2], [0, 0, 1])


def test_unfitted_channels_stay_nan():
    rng = np.random.default_rng(8)
    response = rng.standard_normal((3, 50))
    error = np.array([1.0, np.nan, 2.0])
    covariance = depth_covariance(response, rng.standard_normal((3, 50)), 3, error)
    assert np.isnan(covariance[1]).all() and np.isfinite(covariance[np.ix_([0, 2], [0, 2])]).all()
    assert np.diag(covariance)[[0, 2]].tolist() == [1.0, 4.0]
