"""The true depth of a bin is that of the blurred, weighted light, not of the radius."""

import numpy as np
import pytest

from uptheramp.validate.truth_depth import aperture_fraction, truth_depth


def test_constant_depth_is_returned_whatever_the_weights():
    rng = np.random.default_rng(0)
    flux, w = rng.uniform(1, 5, 30), rng.uniform(0, 2, 30)
    bins = [np.arange(0, 7), np.arange(7, 30)]
    np.testing.assert_allclose(truth_depth(flux, 0.021 * flux, w, bins, rng.uniform(0.5, 1, 30)), 0.021)


def test_equals_the_depth_of_the_weighted_light_curve():
    """A light curve summed with the same weights dims by exactly this depth."""
    rng = np.random.default_rng(1)
    flux, k2, w, a = rng.uniform(1, 5, 12), rng.uniform(0.02, 0.03, 12), rng.uniform(0, 2, 12), rng.uniform(0.8, 1, 12)
    blur = rng.uniform(0, 1, (12, 12))
    out, inside = blur @ flux, blur @ (flux * (1 - k2))
    b = np.array([2, 3, 4, 9])
    expected = 1 - (w * a * inside)[b].sum() / (w * a * out)[b].sum()
    got = truth_depth(out, blur @ (flux * k2), w, [b], a)
    assert got[0] == pytest.approx(expected, rel=1e-12)
    assert got[0] != pytest.approx(np.average(k2[b], weights=w[b]), rel=1e-3)


def test_a_bin_without_light_has_no_depth():
    assert np.isnan(truth_depth(np.array([0.0, 1.0]), np.array([0.0, 0.1]), np.ones(2), [np.array([0])])).all()


def test_aperture_fraction():
    rate = np.array([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(aperture_fraction(rate, np.array([[0.5, 1.0, 0.5]] * 2)), [0.75, 0.0])
