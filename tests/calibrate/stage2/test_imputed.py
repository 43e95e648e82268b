"""Elements whose pixels were made of each other: their covariance against that of draws, in channels and in files."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io import images
from uptheramp.calibrate.io.exposure import open_exposure
from uptheramp.calibrate.references.apcorr import Apcorr
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage2.extract_1d import Extract1dParams, Extract1dRefs, extract_1d
from uptheramp.calibrate.stage2.pixel_replace import PixelReplaceParams, PixelReplaceRefs, pixel_replace
from uptheramp.calibrate.stage2.spatial_profile import Profile
from uptheramp.calibrate.stage3 import combine
from uptheramp.calibrate.state import Rates, take

DRAWS, ELEMENTS, ROWS = 60000, 9, 8
# (row, element): two with a good pixel between them, one alone; light changes along rows less than across
ACROSS = [(3, 3), (3, 5), (5, 4)]
WITHIN = (4, 7)  # differs least from its neighbours in the element, and shares nothing with other elements
fill, extract = eqx.filter_jit(pixel_replace), eqx.filter_jit(extract_1d)


def draws(axis, count=DRAWS):
    """Images of noise of variance 4 on light that is steep across the dispersion, at one pixel along it."""
    row, element = np.mgrid[:ROWS, :ELEMENTS].astype(float)
    light = 1e3 * row + 1e2 * element + 1e5 * ((element == WITHIN[1] + 1) & (row == WITHIN[0]))
    data = light + np.random.default_rng(7).normal(0, 2, (count, ROWS, ELEMENTS))
    dq = np.zeros(data.shape, np.uint32)
    for y, x in (*ACROSS, WITHIN):
        data[:, y, x], dq[:, y, x] = np.nan, flags.DO_NOT_USE
    turn = (lambda a: a) if axis == 1 else (lambda a: np.ascontiguousarray(np.swapaxes(a, -1, -2)))
    data, dq = turn(data).astype(np.float32), turn(dq)
    ones = np.ones_like(data)
    wavelength = turn(np.broadcast_to(np.linspace(1, 2, ELEMENTS, dtype=np.float32), light.shape))
    return Rates(data, 3 * ones, ones, 5 * ones, dq, np.arange(count), wavelength), turn(light)


def references(axis, light):
    aperture = Extract1d(np.array([0.5]), np.array([ROWS - 1.5]), np.zeros((0, 2, 1)), axis)
    uneven = np.float32(1 + np.indices(light.shape)[0 if axis == 1 else 1] % 3)
    return Extract1dRefs(aperture, Profile(uneven, 1 / uneven))


@pytest.mark.parametrize(("axis", "method"), [(1, "box"), (2, "optimal")])
def test_covariance_is_that_of_many_draws(axis, method):
    """Limit: five errors of a covariance of n draws, each sqrt((V_i V_j + C_ij^2) / n)."""
    state, light = draws(axis)
    filled, _ = fill(state, PixelReplaceRefs(references(axis, light).extract1d), PixelReplaceParams(variance="sum"))
    how = Extract1dParams(method=method, background="none", trace=False)
    spectra, _ = extract(filled, references(axis, light), how)
    told = np.diag(np.asarray(spectra.var_poisson + spectra.var_rnoise, float)[0])
    for (one, other), value in zip(np.asarray(spectra.pairs), np.asarray(spectra.covariance)[0], strict=True):
        told[one, other] = told[other, one] = value
    found = np.cov(np.asarray(spectra.flux, float).T)
    limit = 5 * np.sqrt((np.outer(np.diag(told), np.diag(told)) + told**2) / DRAWS)
    known = np.arange(ELEMENTS) != WITHIN[1]  # that its variance is that of a sum of equal shares is tested elsewhere
    assert (np.abs(found - told) < limit)[known][:, known].all()
    shared = np.argwhere(np.triu(told, 1))
    np.testing.assert_array_equal(shared, [[2, 3], [3, 4], [3, 5], [4, 5], [5, 6]])
    assert all(told[i, j] > limit[i, j] for i, j in shared)

    of_channel = float(combine.covariance(combine.points(spectra), jnp.asarray(1.0 * known)[None])[0, 0])
    sums = np.asarray(spectra.flux, float)[:, known].sum(1)
    assert sums.var() == pytest.approx(of_channel, rel=5 * np.sqrt(2 / DRAWS))


def test_an_aperture_correction_takes_the_covariance_along():
    state, light = draws(1, 2)
    refs = references(1, light)
    filled, _ = fill(state, PixelReplaceRefs(refs.extract1d), PixelReplaceParams(variance="sum"))
    how = Extract1dParams(background="none", trace=False)
    rising = Apcorr(np.float32([1, 2]), np.float32([[1, 1], [20, 20]]), np.float32([[2, 3], [2, 3]]), continued=False)
    plain, _ = extract(filled, refs, how)
    out, _ = extract(filled, replace(refs, apcorr=rising), how)
    factor = np.linspace(2, 3, ELEMENTS)[np.asarray(plain.pairs)].prod(1)
    assert np.asarray(plain.covariance).any()
    np.testing.assert_allclose(out.covariance, plain.covariance * factor, rtol=1e-5)


def test_files_tell_which_pixels_were_imputed(prism, times_of, tmp_path):
    """Read again, with a pixel more that is bad: that one joins those known from before, and none is forgotten."""
    meta = prism(nints=4, x_size=ELEMENTS, y_size=ROWS)
    state, light = draws(1, 4)
    refs, how = PixelReplaceRefs(references(1, light).extract1d), PixelReplaceParams(variance="sum")
    filled, _ = fill(state, refs, how)
    with images.writer(tmp_path / "a_calints.fits", meta, times_of(meta), "DN/s", {}, imputed=True) as file:
        for first in (0, 2):
            file.write(first, **images.pieces(take(filled, slice(first, None)), 2))
    again = images.read(tmp_path / "a_calints.fits", meta, 1, 3)
    expected = np.zeros((3, ROWS, ELEMENTS), bool)
    expected[:, *np.transpose(ACROSS)] = True
    np.testing.assert_array_equal(again.imputed, expected)
    more = replace(again, dq=again.dq.at[0, 2, 6].set(flags.DO_NOT_USE))
    expected[0, 2, 6] = True
    np.testing.assert_array_equal(fill(more, refs, how)[0].imputed, expected)
    np.testing.assert_array_equal(again.dq, filled.dq[1:])


def test_segments_that_tell_it_and_others_are_not_mixed(prism, times_of, tmp_path):
    meta, paths = prism(nints=4), []
    for number, told in ((1, True), (2, False)):
        part = meta.segment_of(number, 2, 2 * number - 1, 2 * number)
        paths.append(tmp_path / f"a-seg00{number}_calints.fits")
        with images.writer(paths[-1], part, times_of(part), "DN/s", {}, imputed=told):
            pass
    with pytest.raises(InputError, match=r"seg002_calints\.fits: pixels were replaced there or in a-seg001_calints"):
        open_exposure(paths)
    assert open_exposure(paths[:1]).rates(0, 2).imputed is not None
