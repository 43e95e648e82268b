"""The official functions on the same numbers, where the algorithm is the same."""

from dataclasses import replace
from types import SimpleNamespace

import equinox as eqx
import numpy as np
import pytest

from uptheramp.calibrate.kernels import aperture
from uptheramp.calibrate.stage2.extract_1d import Extract1dParams, Extract1dRefs, extract_1d
from uptheramp.calibrate.stage2.photom import PhotomParams, PhotomRefs, photom

pytestmark = pytest.mark.peer
extract = eqx.filter_jit(extract_1d)


WHOLE = np.array([[[-0.5, 0.0], [2.5, 0.0]], [[12.5, 0.0], [15.5, 0.0]]])


@pytest.mark.parametrize(
    ("fit", "degree", "smoothing"),
    [("poly", 1, 0), ("poly", 0, 3), ("poly", 2, 0), ("poly", 3, 5), ("median", 0, 0), ("median", 0, 3)],
)
def test_box_extraction_with_background(made, fit, degree, smoothing):
    """The official errors take cut window pixels for whole ones, so these windows hold whole ones."""
    official = pytest.importorskip("jwst.extract_1d.extract1d")
    state = made.flagged((2, 0, 4), (2, 1, 4), (2, 13, 9), (2, 14, 0)) if smoothing or degree > 1 else made.state
    reference = replace(
        made.library["extract1d"],
        background=WHOLE,
        background_order=degree,
        background_median=fit == "median",
        smoothing_px=smoothing,
    )
    turn = (lambda a: a) if made.axis == 1 else (lambda a: a.T)
    shape = state.data.shape[-2:]
    axis = aperture.across_axis(reference.dispersion_axis)
    inside = np.asarray(aperture.coverage(reference.lower, reference.upper, shape, axis), np.float64)
    windows = sum(np.asarray(aperture.coverage(*pair, shape, axis)) for pair in reference.background)
    params = Extract1dParams(background="subtract", missing="omit")
    ours, _ = extract(state, Extract1dRefs(reference, None), params)
    image = state.data[2].astype(np.float64)
    variance = [turn(v[2]).astype(np.float64) for v in (state.var_rnoise, state.var_poisson, state.var_flat)]
    how = {"bg_smooth_length": smoothing, "fit_bkg": True, "bkg_fit_type": fit, "bkg_order": degree}
    found = official.extract1d(turn(image), [turn(inside)], *variance, profile_bg=turn(windows), **how)
    flux, rnoise, poisson, _, background = (np.asarray(a[0]) for a in found[:5])
    np.testing.assert_allclose(ours.flux[2], flux, rtol=2e-6, atol=1e-3)
    np.testing.assert_allclose(ours.var_rnoise[2], rnoise, rtol=1e-5)
    np.testing.assert_allclose(ours.var_poisson[2], poisson, rtol=1e-5)
    np.testing.assert_allclose(ours.background[2], background, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("per_micron", [False, True])
def test_conversion_of_a_slit(made, per_micron):
    official = pytest.importorskip("jwst.photom.photom")
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    state, table = made.state, made.library["photom"]
    wavelength = made.library["wavemap"].wavelength_um
    exp_type = "NRC_TSGRISM" if per_micron else "MIR_LRS-SLITLESS"
    if per_micron and made.axis == 2:
        pytest.skip("the official slitless grism disperses along x")
    slit = datamodels.SlitModel(data=state.data.copy(), wavelength=wavelength)
    setup = SimpleNamespace(exptype=exp_type, grating=None, filter="F322W2", pupil="GRISMR", inverse=False)
    setup.get_dispersion_array = lambda *a: official.DataSet.get_dispersion_array(setup, *a)
    factor, absent = official.DataSet.create_2d_conversion(
        setup,
        slit,
        exp_type,
        float(table.conversion),
        table.wavelength_um,
        table.response,
        None,
        include_dispersion=per_micron,
    )
    ours_table = type(table)(table.conversion, table.wavelength_um, table.response, "MJy/sr", per_micron)
    ours, _ = photom(
        type(state)(**(vars(state) | {"wavelength_um": wavelength})), PhotomRefs(ours_table), PhotomParams()
    )
    assert not absent.any()
    np.testing.assert_allclose(ours.data, state.data * factor, rtol=3e-6)
