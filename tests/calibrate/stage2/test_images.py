"""The steps that turn images into images, against numbers worked out by hand."""

from dataclasses import replace

import equinox as eqx
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.flat import Flat
from uptheramp.calibrate.references.photom import Photom
from uptheramp.calibrate.references.wavemap import Wavemap
from uptheramp.calibrate.stage2.assign_wcs import AssignWcsRefs, assign_wcs
from uptheramp.calibrate.stage2.bkg_subtract import BkgSubtractParams, BkgSubtractRefs, bkg_subtract
from uptheramp.calibrate.stage2.flat_field import FlatFieldRefs, flat_field
from uptheramp.calibrate.stage2.photom import PhotomParams, PhotomRefs, dispersion, photom
from uptheramp.calibrate.state import Rates

remove = eqx.filter_jit(bkg_subtract)
convert = eqx.filter_jit(photom)


def rates(data, wavelength=None):
    data = np.asarray(data, np.float32)
    ones = np.ones_like(data)
    dq = np.zeros(data.shape, np.uint32)
    return Rates(data, 4 * ones, 9 * ones, 0 * ones, dq, np.arange(len(data)), wavelength)


def test_flat_divides_data_and_variances():
    flat = Flat(np.float32([[2, 0.5, 1, 1]]), np.float32([[0.2, 0.1, 0.1, 0]]), np.uint32([[0, 0, 1, 0]]))
    flat = replace(flat, data=np.float32([[2, 0.5, 3, 0]]))
    out, _ = flat_field(rates([[[8, 8, 8, 8]]]), FlatFieldRefs(flat), None)
    np.testing.assert_allclose(out.data[0, 0], [4, 16, 8, 8])
    np.testing.assert_allclose(out.var_poisson[0, 0], [1, 16, 4, 4])
    np.testing.assert_allclose(out.var_rnoise[0, 0], [2.25, 36, 9, 9])
    np.testing.assert_allclose(out.var_flat[0, 0], [(8 / 4 * 0.2) ** 2, (8 / 0.25 * 0.1) ** 2, 0, 0], rtol=1e-6)
    unknown = flags.NO_FLAT_FIELD | flags.DO_NOT_USE
    np.testing.assert_array_equal(out.dq[0, 0], [0, 0, flags.DO_NOT_USE, unknown])


def test_pixels_without_light_are_marked_but_stay_usable():
    out, _ = assign_wcs(rates([[[1, 2]]]), AssignWcsRefs(Wavemap(np.float32([[1.5, np.nan]]))), None)
    np.testing.assert_array_equal(out.dq[0, 0], [0, flags.NON_SCIENCE])
    np.testing.assert_array_equal(out.wavelength_um, np.float32([[1.5, np.nan]]))


def test_photom_interpolates_and_flags_what_it_does_not_cover():
    table = Photom(np.float32(10), np.float32([1, 2, 4]), np.float32([1, 2, 6]), "MJy")
    wavelength = np.float32([[1.5, 3, 0.9, np.nan, 4]])
    out, _ = convert(rates([[[1, 2, 3, 4, np.nan]]], wavelength), PhotomRefs(table), PhotomParams())
    np.testing.assert_allclose(out.data[0, 0], [15, 80, 0, 0, np.nan])
    np.testing.assert_allclose(out.var_poisson[0, 0], [4 * 15**2, 4 * 40**2, 0, 0, 4 * 60**2])
    np.testing.assert_array_equal(out.dq[0, 0], [0, 0, 1, 1, 0])
    assert out.unit == "MJy"


def test_slitless_tables_are_divided_by_the_dispersion():
    table = Photom(np.float32(10), np.float32([0, 9]), np.float32([1, 1]), per_micron=True)
    wavelength = np.float32([[1.0, 1.1, 1.3, np.nan, 2.0]])
    out, _ = convert(rates([[[1, 1, 1, 1, 1]]], wavelength), PhotomRefs(table), PhotomParams())
    np.testing.assert_allclose(out.data[0, 0], [100, 10 / 0.15, 50, 0, 0], rtol=1e-5)
    np.testing.assert_array_equal(out.dq[0, 0], [0, 0, 0, 1, 1])
    np.testing.assert_allclose(dispersion(wavelength.T)[:, 0], [0.1, 0.15, 0.2, 0, 0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("step", [(photom, PhotomRefs(None)), (flat_field, FlatFieldRefs(None))])
def test_optional_references_may_be_absent(step):
    function, refs = step
    state = rates([[[1, 2]]])
    assert function(state, refs, None)[0] is state


def aperture(axis, order, windows):
    return Extract1d(np.array([3.5]), np.array([5.5]), np.array(windows)[..., None], axis, order)


@pytest.mark.parametrize("axis", [1, 2])
def test_background_is_the_mean_of_the_windows(axis):
    column = np.array([1, 3, 100, 50, 60, 70, 5, 7.0])
    image = np.stack([column, column + 10], 1)
    image = (image if axis == 1 else image.T)[None]
    refs = BkgSubtractRefs(aperture(axis, 0, [[-0.5, 1.5], [5.5, 7.5]]))
    out, _ = remove(rates(image), refs, BkgSubtractParams(sigma=100.0))
    expected = np.stack([column - 4, column - 4], 1)
    np.testing.assert_allclose(out.data[0], expected if axis == 1 else expected.T, rtol=1e-6)
    np.testing.assert_array_equal(out.var_rnoise, 9)


def test_windows_may_take_parts_of_pixels_and_follow_a_line():
    row = np.arange(8.0)
    image = (3 + 2 * row)[None, :, None] * np.ones((1, 8, 2))
    refs = BkgSubtractRefs(aperture(1, 1, [[-0.5, 1.25], [6.0, 7.5]]))
    out, _ = remove(rates(image), refs, BkgSubtractParams())
    np.testing.assert_allclose(out.data, 0, atol=2e-5)
    half = BkgSubtractRefs(aperture(1, 0, [[-0.5, 1.0]]))  # one whole pixel and half of the next: (3 + 5 / 2) / 1.5
    out, _ = remove(rates(image), half, BkgSubtractParams())
    np.testing.assert_allclose(out.data, image - 5.5 / 1.5, rtol=1e-6)


@pytest.mark.parametrize("order", [0, 1])
def test_bright_and_bad_pixels_do_not_move_the_background(order):
    rng = np.random.default_rng(3)
    clean = rng.normal(0, np.sqrt(13), (20, 24, 30))
    hit = clean.copy()
    hit[:, 2, :] = 1e5
    hit[:, 21, ::2] = -3e3
    state = rates(hit)
    state.data[:, 4, 5] = np.nan
    state.dq[:, 6, 7] = flags.DO_NOT_USE
    state.data[:, 6, 7] = 1e9
    refs = BkgSubtractRefs(aperture(1, order, [[-0.5, 8.5], [14.5, 23.5]]))
    out, _ = remove(state, refs, BkgSubtractParams())
    level = (state.data - np.asarray(out.data))[:, 10, :]
    ideal = np.delete(clean, [2, 4, 6, 21, *range(9, 15)], axis=1).mean(1)
    assert np.std(level) < 1.25 * np.std(ideal)
    assert abs(np.mean(level)) < 5 * np.std(level) / np.sqrt(level.size)


def test_an_element_without_a_usable_window_is_left_alone():
    state = rates(np.ones((1, 8, 2)))
    state.dq[0, :2, 1] = flags.DO_NOT_USE
    out, _ = remove(state, BkgSubtractRefs(aperture(1, 0, [[-0.5, 1.5]])), BkgSubtractParams())
    np.testing.assert_array_equal(out.data[0, :, 0], 0)
    np.testing.assert_array_equal(out.data[0, :, 1], 1)
