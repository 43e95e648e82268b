"""Slopes and jumps against planted truths."""

import numpy as np
import pytest

from uptheramp.validate.metrics import jump, rate


def test_slope_recovery_finds_a_bias_where_it_was_planted():
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 1000, 40_000)
    bound = np.sqrt(truth) + 3
    slope = truth + rng.normal(0, 1.1 * bound) - np.where(truth > 500, 2.0, 0.0)
    slope[:10] = np.nan
    r = rate.slope_recovery(slope, truth, bound, truth, np.array([0.0, 500.0, 1001.0]))
    assert abs(r.bias_e_per_s[0]) < 4 * r.bias_error_e_per_s[0]
    assert r.bias_e_per_s[1] == pytest.approx(-2.0, abs=4 * r.bias_error_e_per_s[1])
    assert r.bias_in_bounds[1] < -4 * r.bias_error_in_bounds[1]
    np.testing.assert_allclose(r.variance_ratio, 1.21, atol=4 * r.variance_ratio_error.max())
    assert r.count.sum() == 39_990


def test_slope_recovery_by_number_of_groups_leaves_empty_classes_out():
    x = np.array([1.0, 2.0, 3.0])
    r = rate.slope_recovery(x, x - 1, np.ones(3), np.array([2, 2, 5]), np.array([2, 3, 4, 6]))
    np.testing.assert_array_equal(r.count, [2, 0, 1])
    assert r.bias_e_per_s[0] == 1.0 and np.isnan(r.bias_e_per_s[1]) and np.isnan(r.bias_error_e_per_s[2])


def test_agreement_rule():
    other = np.array([1000.0, 1000.0, 0.0, np.nan, np.nan, 5.0])
    error = np.full(6, 1.0)
    slope = other + np.array([0.0109, 0.0112, 0.0009, 0.0, 0.0, 0.0])
    slope[4] = 1.0
    equal = np.array([True, True, True, True, True, False])
    a = rate.agreement(slope, other, error, equal)
    assert a.compared == 4 and a.flag_differences == 1
    assert a.fraction == pytest.approx(2 / 4)
    assert a.worst_ratio == np.inf


SHAPE = (6, 5, 40, 40)


def planted():
    rng = np.random.default_rng(1)
    deposit = np.where(rng.random(SHAPE) < 0.001, rng.uniform(1, 25, SHAPE), 0.0)
    noise = rng.normal(0, 2.0, SHAPE)
    return deposit, deposit + noise


def test_efficiency_and_false_positives():
    deposit, difference = planted()
    sigma, usable = np.full(SHAPE, 2.0), np.ones(SHAPE, bool)
    flagged = difference > 5 * 2.0
    assert jump.efficiency(flagged, deposit, sigma, 10.0, usable).value == 1.0
    low = jump.efficiency(flagged, deposit, sigma, 4.0, usable)
    assert low.low < low.value < low.high and low.value < 1.0
    assert jump.false_positive_rate(flagged, deposit, sigma, usable).value == 0.0
    planted_rate = np.random.default_rng(2).random(SHAPE) < 0.01
    false = jump.false_positive_rate(planted_rate, deposit, sigma, usable)
    assert false.low - 2e-3 < 0.01 < false.high + 2e-3


def test_neighbours_of_a_hit_do_not_count_as_false():
    deposit = np.zeros((1, 3, 9, 9))
    deposit[0, 1, 4, 4] = 100.0
    flagged = np.zeros(deposit.shape, bool)
    flagged[0, :, 3:6, 3:6] = True
    sigma, usable = np.ones(deposit.shape), np.ones(deposit.shape, bool)
    rate_ = jump.false_positive_rate(flagged, deposit, sigma, usable)
    assert rate_.value == 0.0 and rate_.count == 3 * (81 - 9)
    flagged[0, 0, 3, 6] = True
    assert jump.false_positive_rate(flagged, deposit, sigma, usable).value == pytest.approx(1 / rate_.count)


def test_efficiency_at_equal_rate():
    deposit, difference = planted()
    sigma, usable = np.full(SHAPE, 2.0), np.ones(SHAPE, bool)
    found, threshold = jump.efficiency_at_rate(difference, deposit, sigma, 6.0, usable, 1e-3)
    assert threshold == pytest.approx(3.09 * 2.0, abs=0.5)
    assert jump.false_positive_rate(difference > threshold, deposit, sigma, usable).value == pytest.approx(
        1e-3, rel=0.1
    )
    scaled, _ = jump.efficiency_at_rate(difference * 7.0, deposit, sigma, 6.0, usable, 1e-3)
    assert scaled == found
    with pytest.raises(ValueError, match="cannot fix"):
        jump.efficiency_at_rate(difference, deposit, sigma, 6.0, usable, 1e-5)
