import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate.kernels import columns
from uptheramp.calibrate.kernels.tiles import COLUMNS, ROWS


def test_inverse_of_columns_is_the_inverse():
    rng = np.random.default_rng(0)
    maps, weight = rng.normal(size=(4, 20, 6)), rng.random((3, 20, 6))
    maps[2, :, 5] = 0  # a shape that is not there
    normal = columns.gram(maps, weight)
    found = np.moveaxis(np.asarray(columns.inverse(normal)), 3, 1)
    plain = np.einsum("ayx,byx,nyx->nxab", maps, maps, weight)
    np.testing.assert_allclose(found[:, :5], np.linalg.inv(plain[:, :5]), rtol=1e-9)
    there = [0, 1, 3]
    np.testing.assert_allclose(found[:, 5][:, there][:, :, there], np.linalg.inv(plain[:, 5][:, there][:, :, there]))
    assert (found[:, 5, 2] == 0).all()
    assert (found[:, 5, :, 2] == 0).all()


@pytest.mark.parametrize(("height", "width"), [(2 * ROWS, 2 * COLUMNS), (37, 24), (40, 2 * COLUMNS + 2), (5, 3)])
def test_sums_by_tiles_and_their_derivatives_are_the_plain_ones(height, width):
    rng = np.random.default_rng(4)
    maps, others, images = (rng.normal(size=(k, height, width)) for k in (3, 2, 4))
    sums = jax.jit(lambda m, o, i: (columns.total(m, i), columns.crossed(m, o, i), columns.gram(m, i)))
    terms = ("myx,nyx->nmx", (maps, images)), ("myx,oyx,nyx->nmox", (maps, others, images))
    terms = (*terms, ("ayx,byx,nyx->nabx", (maps, maps, images)))
    plain = [np.einsum(rule, *of) for rule, of in terms]
    for found, expected in zip(sums(maps, others, images), plain, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    planes = [rng.normal(size=p.shape) for p in plain]

    def figure(*given):
        return sum(jnp.sum(plane * found) for plane, found in zip(planes, sums(*given), strict=True))

    by_maps, by_others, by_images = jax.grad(figure, (0, 1, 2))(maps, others, images)
    t, c, g = planes
    np.testing.assert_allclose(by_others, np.einsum("nmox,myx,nyx->oyx", c, maps, images), rtol=1e-9, atol=1e-9)
    expected = np.einsum("nmx,myx->nyx", t, maps) + np.einsum("nmox,myx,oyx->nyx", c, maps, others)
    np.testing.assert_allclose(
        by_images, expected + np.einsum("nabx,ayx,byx->nyx", g, maps, maps), rtol=1e-9, atol=1e-9
    )
    expected = np.einsum("nmx,nyx->myx", t, images) + np.einsum("nmox,oyx,nyx->myx", c, others, images)
    both = g + np.moveaxis(g, 1, 2)
    np.testing.assert_allclose(
        by_maps, expected + np.einsum("nabx,byx,nyx->ayx", both, maps, images), rtol=1e-9, atol=1e-9
    )


def test_sums_by_tiles_leave_bad_pixels_out_whatever_they_hold():
    rng = np.random.default_rng(6)
    height, width = ROWS, COLUMNS
    maps, images = (rng.normal(size=(k, height, width)) for k in (3, 2))
    weight, good = rng.random((height, width)), rng.random((2, height, width)) < 0.8
    clean = np.where(good, images, 0)
    spoilt = np.where(good, images, np.nan)
    found = columns.total(maps, spoilt, good), columns.gram(maps, spoilt, good), columns.gram(maps, good, weight=weight)
    counted = (good * weight).astype(float)
    plain = [np.einsum("myx,nyx->nmx", maps, clean)]
    plain += [np.einsum("ayx,byx,nyx->nabx", maps, maps, image) for image in (clean, counted)]
    for one, expected in zip(found, plain, strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-9, atol=1e-9)
    slope = jax.grad(lambda image: jnp.sum(columns.total(maps, image, good)))(jnp.asarray(spoilt))
    np.testing.assert_allclose(slope, np.where(good, maps.sum(0), 0), rtol=1e-9, atol=1e-9)
