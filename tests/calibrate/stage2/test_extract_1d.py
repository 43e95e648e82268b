from dataclasses import replace

import equinox as eqx
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage2.bkg_subtract import BkgSubtractParams, BkgSubtractRefs, bkg_subtract
from uptheramp.calibrate.stage2.extract_1d import Extract1dParams, Extract1dRefs, extract_1d, learn_profile
from uptheramp.calibrate.state import Rates

extract = eqx.filter_jit(extract_1d)
remove = eqx.filter_jit(bkg_subtract)
PLAIN = Extract1dParams(background="none")


def rates(data, dq=None, wavelength=None):
    data = np.asarray(data, np.float32)
    ones = np.ones_like(data)
    dq = np.zeros(data.shape, np.uint32) if dq is None else dq
    return Rates(data, 4 * ones, 9 * ones, 25 * ones, dq, np.arange(len(data)), wavelength)


def box(lower, upper, axis=1, background=()):
    windows = np.array(background, float).reshape(-1, 2, 1)
    return Extract1d(np.atleast_1d(np.array(lower, float)), np.atleast_1d(np.array(upper, float)), windows, axis)


def test_edges_take_parts_of_pixels():
    column = np.array([1.0, 10, 100, 1000, 10000])
    out, _ = extract(rates(column[None, :, None]), Extract1dRefs(box(0.75, 3.0), None), PLAIN)
    share = np.array([0, 0.75, 1, 0.5, 0])
    np.testing.assert_allclose(out.flux, [[share @ column]])
    np.testing.assert_allclose(out.var_poisson, [[4 * share @ share]])
    np.testing.assert_allclose(out.var_rnoise, [[9 * share @ share]])
    np.testing.assert_allclose(out.var_flat, [[25 * share @ share]])
    np.testing.assert_allclose(out.npixels, [2.25])


def test_the_aperture_follows_its_polynomials():
    data = np.arange(1.0, 41).reshape(1, 8, 5)
    out, _ = extract(rates(data), Extract1dRefs(box([0.5, 1.0], [1.5, 1.0, 0.0]), None), PLAIN)
    np.testing.assert_allclose(out.flux[0], [data[0, 1 + p, p] for p in range(5)])


def test_apertures_that_cover_all_rows_sum_to_the_columns(made):
    size = made.state.data.shape[-2 if made.axis == 1 else -1]
    cuts = [-0.5, 2.3, 6.9, 7.1, size - 0.5]
    parts = [
        extract(made.state, Extract1dRefs(box(low, high, made.axis), None), PLAIN)[0]
        for low, high in zip(cuts[:-1], cuts[1:], strict=True)
    ]
    np.testing.assert_allclose(sum(p.flux for p in parts), made.state.data.sum(-2 if made.axis == 1 else -1), rtol=1e-5)
    assert sum(p.npixels for p in parts) == pytest.approx(size)


def test_wavelength_is_the_mean_over_lit_pixels():
    wavelength = np.float32([[1, np.nan], [2, np.nan], [4, np.nan], [9, 9]])
    out, _ = extract(rates(np.ones((1, 4, 2)), None, wavelength), Extract1dRefs(box(0.5, 2.5), None), PLAIN)
    np.testing.assert_array_equal(out.wavelength_um, np.float32([3, np.nan]))
    np.testing.assert_array_equal(out.dq[0], [0, flags.NON_SCIENCE | flags.DO_NOT_USE])


def learned(made):
    refs = Extract1dRefs(made.library["extract1d"], None)
    return Extract1dRefs(made.library["extract1d"], learn_profile(made.state, refs, PLAIN))


def test_light_on_bad_pixels_is_restored_from_the_profile(made):
    refs = learned(made)
    whole, _ = extract(made.state, refs, PLAIN)
    holed, _ = extract(made.flagged((2, 7, 4), (2, 9, 4), (3, 6, 8)), refs, PLAIN)
    lost, _ = extract(made.flagged((2, 7, 4)), refs, Extract1dParams(background="none", missing="omit"))
    assert abs(holed.flux[2, 4] - whole.flux[2, 4]) < 5 * whole.err[2, 4]
    assert whole.flux[2, 4] - lost.flux[2, 4] > 50 * whole.err[2, 4]
    assert holed.err[2, 4] > 1.3 * whole.err[2, 4]
    expected = np.zeros(whole.dq.shape, np.uint32)
    expected[2, 4] = expected[3, 8] = flags.FLUX_ESTIMATED
    np.testing.assert_array_equal(np.asarray(holed.dq) & flags.FLUX_ESTIMATED, expected)


def test_restored_light_is_unbiased_when_the_flux_changes(made):
    """With noiseless light, any bad pixel, and any brightness of the element, the restored flux is exact."""
    refs = replace(learned(made), profile=replace(learned(made).profile, data=made.clean))
    dimmed = replace(made.state, data=np.stack([made.clean, 0.8 * made.clean]).astype(np.float32))
    dimmed = Rates(dimmed.data, *(np.ones_like(dimmed.data),) * 3, np.zeros(dimmed.data.shape, np.uint32), np.arange(2))
    whole, _ = extract(dimmed, refs, PLAIN)
    dq = dimmed.dq.copy()
    dq[(1, 8, 3) if made.axis == 1 else (1, 3, 8)] = flags.DO_NOT_USE
    holed, _ = extract(replace(dimmed, dq=dq), refs, PLAIN)
    np.testing.assert_allclose(holed.flux, whole.flux, rtol=1e-5)


def test_a_pixel_that_is_always_bad_leaves_every_integration_alike(made):
    state = made.flagged(*((i, 7, 4) for i in range(6)))
    refs = Extract1dRefs(made.library["extract1d"], None)
    refs = replace(refs, profile=learn_profile(state, refs, PLAIN))
    out, _ = extract(state, refs, PLAIN)
    assert np.all(np.asarray(out.dq) & flags.FLUX_ESTIMATED == 0)
    assert np.std(np.asarray(out.flux)[:, 4]) < 3 * np.mean(out.err[:, 4])


def test_elements_without_enough_light_are_not_used(made):
    refs = learned(made)
    some = [(1, cross, 2) for cross in (6, 7, 8, 9)]
    every = [(2, cross, 5) for cross in range(16)]
    state = replace(made.flagged(*some, *every), wavelength_um=made.library["wavemap"].wavelength_um)
    out, _ = extract(state, refs, PLAIN)
    unused = np.zeros(out.dq.shape, bool)
    unused[1, 2] = unused[2, 5] = True
    np.testing.assert_array_equal(np.isnan(out.flux), unused)
    np.testing.assert_array_equal((np.asarray(out.dq) & flags.DO_NOT_USE) != 0, unused)


def test_subtracting_here_equals_subtracting_before(made):
    refs = Extract1dRefs(made.library["extract1d"], None)
    here, _ = extract(made.state, refs, Extract1dParams(background="subtract"))
    before, _ = remove(made.state, BkgSubtractRefs(made.library["extract1d"]), BkgSubtractParams(sigma=20.0))
    later, _ = extract(before, refs, Extract1dParams(background="removed"))
    np.testing.assert_allclose(here.flux, later.flux, atol=2e-3)
    np.testing.assert_allclose(here.var_rnoise, later.var_rnoise, rtol=1e-5)
    plain, _ = extract(made.state, refs, PLAIN)
    np.testing.assert_allclose(plain.flux - here.flux, here.background, atol=2e-3)


def test_errors_say_how_much_repeated_spectra_scatter():
    """The background's error is common to the aperture: per-pixel sums would understate it."""
    rng = np.random.default_rng(11)
    n = 400
    data = rng.normal(5, np.sqrt(13), (n, 24, 20))
    state = replace(rates(data), var_flat=np.zeros((n, 24, 20), np.float32))
    aperture = box(6.3, 16.2, background=[[-0.5, 3.5], [19.5, 23.5]])
    before, _ = remove(state, BkgSubtractRefs(aperture), BkgSubtractParams(sigma=20.0))
    out, _ = extract(before, Extract1dRefs(aperture, None), Extract1dParams())
    ratio = np.std(out.flux) / np.sqrt(np.mean(np.asarray(out.err) ** 2))
    assert abs(ratio - 1) < 4 / np.sqrt(2 * n * 20)
    own, _ = extract(before, Extract1dRefs(aperture, None), PLAIN)
    assert np.std(out.flux) / np.mean(own.err) > 1.3


@pytest.mark.parametrize("degree", [2, 3])
def test_a_curved_background_is_taken_away(degree):
    u = np.linspace(-1, 1, 32)
    sky = sum((3 - k) * u**k for k in range(degree + 1))
    star = np.where(abs(np.arange(32) - 16) < 4, 50.0, 0)
    data = np.broadcast_to((sky + star)[None, :, None], (2, 32, 3)).copy()
    aperture = replace(box(11.5, 20.5, background=[[-0.5, 7.5], [23.2, 31.5]]), background_order=degree)
    refs, params = Extract1dRefs(aperture, None), Extract1dParams(background="subtract")
    out, _ = extract(rates(data), refs, params)
    np.testing.assert_allclose(out.flux, np.full((2, 3), star[12:21].sum()), rtol=1e-5)
    dq = np.zeros(data.shape, np.uint32)
    dq[0, :, 1] = flags.DO_NOT_USE
    dq[0, [2, 25, *range(9, 23)], 1] = 0  # two places tell a line, and no curve
    few, _ = extract(rates(data, dq), refs, params)
    line = np.polyval(np.polyfit(u[[2, 25]], sky[[2, 25]], 1), u)
    np.testing.assert_allclose(few.flux[0, 1], (star + sky - line)[12:21].sum(), rtol=1e-5)


def test_errors_of_a_curved_background_are_those_of_its_scatter():
    rng = np.random.default_rng(5)
    n = 400
    data = rng.normal(5, np.sqrt(13), (n, 24, 20))
    state = replace(rates(data), var_flat=np.zeros((n, 24, 20), np.float32))
    aperture = replace(box(6.3, 16.2, background=[[-0.5, 3.5], [19.5, 23.5]]), background_order=2)
    out, _ = extract(state, Extract1dRefs(aperture, None), Extract1dParams(background="subtract"))
    ratio = np.std(out.flux) / np.sqrt(np.mean(np.asarray(out.err) ** 2))
    assert abs(ratio - 1) < 4 / np.sqrt(2 * n * 20)


def test_a_median_overlooks_a_star_and_takes_whole_pixels():
    data = np.ones((1, 10, 7))
    data[0, 1, 3] = 1000
    aperture = replace(box(3.5, 6.5, background=[[0.2, 2.5], [6.5, 9.2]]), background_median=True)
    out, _ = extract(rates(data), Extract1dRefs(aperture, None), Extract1dParams(background="subtract"))
    np.testing.assert_allclose(out.background, np.full((1, 7), 3.0))
    used = 2 + 2  # the pixels cut at 0.2 and 9.2 are left out
    np.testing.assert_allclose(out.var_rnoise, 9 * (3 + 1.2**2 * 3**2 / used) * np.ones((1, 7)), rtol=1e-6)


def test_smoothed_windows_spread_what_is_in_them():
    data = np.ones((1, 10, 9))
    data[0, [0, 1, 8, 9], 4] = 6
    windows = box(3.5, 6.5, background=[[-0.5, 1.5], [7.5, 9.5]])
    aperture = replace(windows, smoothing_px=5)
    out, _ = extract(rates(data), Extract1dRefs(aperture, None), Extract1dParams(background="subtract"))
    np.testing.assert_allclose(out.background[0], np.where(abs(np.arange(9) - 4) <= 2, 6.0, 3.0), rtol=1e-6)
