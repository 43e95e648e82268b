"""Sums plane by plane and work in blocks give what numpy gives, whatever the number of pixels."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate.kernels import grow, order, planes, two_point
from uptheramp.calibrate.kernels.polynomial import horner

SHAPES = [(5, 7), (1, planes.WIDE), (3, 1000), (planes.BLOCK,), (planes.BLOCK + 1,), (2, planes.BLOCK + 13)]


@pytest.fixture(params=SHAPES, ids=str)
def samples(request):
    rng = np.random.default_rng(1)
    x = rng.integers(-50, 50, (17, *request.param)).astype(float)  # sums are exact, and there are ties
    valid = rng.random(x.shape) < 0.6
    valid[:, ..., 0] = False
    return x, valid


def test_sums_counts_and_largest(samples):
    x, valid = samples
    np.testing.assert_array_equal(planes.total(jnp.asarray(x), jnp.asarray(valid)), np.where(valid, x, 0).sum(0))
    np.testing.assert_array_equal(planes.count(jnp.asarray(valid)), valid.sum(0))
    found = planes.largest(jnp.asarray(x), jnp.asarray(valid))
    np.testing.assert_array_equal(found, np.where(valid, x, -np.inf).max(0))


@pytest.mark.parametrize("n", [1, 2, 12, 13, 17])
def test_medians_by_network_and_by_bisection(samples, n):
    x, valid = (a[:n] for a in samples)
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(RuntimeWarning, "All-NaN slice")
        expected = np.nanmedian(np.where(valid, x, np.nan), 0)
    np.testing.assert_array_equal(jax.jit(order.median)(jnp.asarray(x), jnp.asarray(valid)), expected)


def test_whether_a_median_lies_between_bounds(samples):
    x, valid = samples
    middle = order.median(jnp.asarray(x), jnp.asarray(valid))
    for low, high in ((-1, 1), (-20, 0), (3, 30)):
        inside = np.asarray(order.median_within(jnp.asarray(x), jnp.asarray(valid), low, high))
        assert not (inside & ~((middle > low) & (middle < high))).any()
        assert (inside == (middle > low) & (middle < high)).mean() > 0.8  # middle samples may lie on either side
    assert not inside[..., 0].any()


def test_blocks_give_each_pixel_its_own(samples):
    x, _ = samples
    found = planes.in_blocks(lambda a: {"sum": a.sum(0), "twice": 2 * a}, jnp.asarray(x))
    np.testing.assert_array_equal(found["sum"], x.sum(0))
    np.testing.assert_array_equal(found["twice"], 2 * x)


@pytest.mark.parametrize("n", [1, 8, 9, 17])
def test_masks_spread_to_neighbours(n):
    mask = np.random.default_rng(n).random((n, 6, 9)) < 0.05
    for grown, reach in ((grow.cross, lambda dy, dx: abs(dy) + abs(dx) <= 1), (lambda m: grow.box(m, 2), lambda *_: 1)):
        expected = np.zeros_like(mask)
        for image, y, x in np.argwhere(mask):
            for dy, dx in product(range(-2, 3), repeat=2):
                if reach(dy, dx) and 0 <= y + dy < 6 and 0 <= x + dx < 9:
                    expected[image, y + dy, x + dx] = True
        np.testing.assert_array_equal(grown(jnp.asarray(mask)), expected)


def test_only_the_chosen_pixels_change(samples):
    x, valid = samples
    for chosen in (valid[0], np.zeros_like(valid[0]), np.ones_like(valid[0])):
        found = planes.where_any(lambda a: -a[::-1], jnp.asarray(chosen), jnp.asarray(x), jnp.asarray(x))
        np.testing.assert_array_equal(found, np.where(chosen, -x[::-1], x))


@pytest.mark.parametrize("shape", [(5, 7), (64, 100), (17, 257), (1, 9001)])
def test_by_blocks_with_its_derivative(shape):
    x = jnp.asarray(np.random.default_rng(2).normal(size=(4, *shape)))
    scale = jnp.arange(1.0, 1 + x[0].size).reshape(shape)

    def total(a):
        return planes.by_blocks(lambda b, s: (b**2).sum(0) * s, a, scale).sum()

    value, slope = jax.value_and_grad(total)(x)
    np.testing.assert_allclose(value, ((x**2).sum(0) * scale).sum(), rtol=1e-12)
    np.testing.assert_allclose(slope, 2 * x * scale, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_derivatives_by_images_are_those_of_plain_broadcasts(dtype):
    rng = np.random.default_rng(4)
    coeffs, x = rng.normal(size=(4, 5, 7)).astype(np.float32), rng.normal(size=(2, 3, 5, 7)).astype(dtype)
    weight = rng.normal(size=x.shape)

    def by_planes(coeffs, x):
        return (weight * (horner(coeffs, x) - planes.spread(coeffs[0], x.shape[:-2]))).sum()

    def plain(coeffs, x):
        return (weight * (sum(c * x**n for n, c in enumerate(coeffs)) - coeffs[0])).sum()

    found, expected = (jax.value_and_grad(f, (0, 1))(coeffs, x) for f in (by_planes, plain))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=3e-5, atol=3e-5)


@pytest.mark.parametrize("n", [1, planes.WRITTEN_OUT, planes.WRITTEN_OUT + 1])
@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_loops_over_few_and_many_planes(n, reverse):
    x = np.random.default_rng(2).integers(-9, 9, (n, 4, 6)).astype(float)

    def turn(total, k, plane):
        total = total + (k + 1) * plane
        return total, total

    (doubled,) = planes.each(lambda k: (2 * jnp.asarray(x)[k],), n)
    total, running = planes.scan(turn, jnp.zeros((4, 6)), n, planes.rows(jnp.asarray(x)), reverse=reverse)
    weighed = np.arange(1, n + 1)[:, None, None] * x
    expected = weighed[::-1].cumsum(0)[::-1] if reverse else weighed.cumsum(0)
    np.testing.assert_array_equal(doubled, 2 * x)
    np.testing.assert_array_equal(running, expected)
    np.testing.assert_array_equal(total, weighed.sum(0))
    np.testing.assert_array_equal(planes.fold(jnp.add, jnp.zeros((4, 6)), planes.rows(jnp.asarray(x))), x.sum(0))


def test_what_exceeds_a_ratio_is_told_without_it():
    rng = np.random.default_rng(3)
    level, noise = rng.normal(0, 30, 4000), np.where(rng.random(4000) < 0.1, 0, 40.0)
    level = np.where(rng.random(4000) < 0.1, 0, level)
    difference = level + rng.normal(0, 40, 4000)
    for limit in (0.0, 1.5, 4.0):
        found = two_point.exceeds(difference, level, noise, limit**2)
        np.testing.assert_array_equal(found, np.asarray(two_point.ratio(difference, level, noise)) > limit)
        assert found.any()
        assert not found.all()
