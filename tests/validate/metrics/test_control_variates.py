"""Control variates take noise away and leave the mean where it was."""

import numpy as np
import pytest

from uptheramp.validate.metrics import control_variates as cv

BIAS = 7.0


def experiment(rng, seeds):
    """Depth errors with a bias and a quadratic response, and the linear response to the same draws."""
    noise = rng.normal(size=(seeds, 3, 40))
    operator = np.linspace(-1, 1, 40) * np.ones((3, 1))
    linear = cv.linear_response(noise, operator)
    return BIAS + linear + 0.05 * linear**2 + rng.normal(0, 0.3, linear.shape), linear


def test_linear_response_is_the_sum_over_time():
    noise = np.random.default_rng(0).normal(size=(2, 3, 4))
    operator = np.arange(12.0).reshape(3, 4)
    assert cv.linear_response(noise, operator)[1, 2] == pytest.approx(noise[1, 2] @ operator[2])


@pytest.mark.parametrize("seeds", [4, 30])
def test_reduced_is_unbiased_and_quieter(seeds):
    rng = np.random.default_rng(1)
    plain, less = [], []
    for _ in range(3000):
        difference, control = experiment(rng, seeds)
        plain.append(difference.mean(axis=0))
        less.append(cv.reduced(difference, control).mean(axis=0))
    plain, less = np.array(plain), np.array(less)
    expected = BIAS + 0.05 * np.sum(np.linspace(-1, 1, 40) ** 2)
    np.testing.assert_allclose(less.mean(axis=0), expected, atol=4.5 * less.std(axis=0).max() / np.sqrt(3000))
    assert less.std() < (0.5 if seeds > 10 else 0.9) * plain.std()


def test_too_few_seeds_are_refused():
    with pytest.raises(ValueError, match="3 seeds"):
        cv.reduced(np.zeros((2, 1)), np.ones((2, 1)))


def test_a_control_without_variance_changes_nothing():
    difference = np.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(cv.reduced(difference, np.zeros((4, 2))), difference)


def test_antithetic_cancels_the_linear_response():
    n = np.random.default_rng(2).normal(size=(50, 1))
    np.testing.assert_allclose(cv.antithetic(BIAS + 3 * n + n**2, BIAS - 3 * n + n**2), BIAS + n**2)
