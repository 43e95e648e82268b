from dataclasses import replace

import equinox as eqx
import jax
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.kernels.rolling import median, rolling_median
from uptheramp.calibrate.stage3.outlier_detection import OutlierDetectionParams, outlier_detection
from uptheramp.calibrate.state import Rates

MARK = flags.OUTLIER | flags.DO_NOT_USE
detect = eqx.filter_jit(outlier_detection)


def rates(n=60, seed=0, shape=(4, 5)):
    rng = np.random.default_rng(seed)
    data = (100 + 0.05 * np.arange(n)[:, None, None] + 2 * rng.normal(size=(n, *shape))).astype(np.float32)
    ones = np.ones_like(data)
    return Rates(data, 3 * ones, ones, 0 * ones, np.zeros(data.shape, np.uint32), np.arange(n))


@pytest.mark.parametrize("width", [2, 4, 7, 25, 59])
def test_running_median_equals_sorting_every_window(width):
    data = np.random.default_rng(width).normal(size=(60, 3, 4)).astype(np.float32)
    data[::7, 1, 1], data[:, 2, 2], data[5:40, 0, 0] = np.nan, np.nan, np.inf
    data[10:20, 2, 3] = 1.5  # ties
    found = np.asarray(jax.jit(rolling_median, static_argnums=1)(data, width))
    hidden = np.ma.masked_invalid(data)
    before = width // 2
    for t in (0, before, 30, 59 - (width - 1 - before), 59):
        start = min(max(t - before, 0), 60 - width)
        expected = np.ma.median(hidden[start : start + width], axis=0).filled(np.nan)
        np.testing.assert_allclose(found[t], expected, rtol=1e-6)
    np.testing.assert_allclose(median(data), np.ma.median(hidden, axis=0).filled(np.nan), rtol=1e-6)


def test_outliers_are_found_and_nothing_else():
    state = rates()
    planted = [(0, 1, 1), (30, 2, 3), (59, 0, 4)]
    for at in planted:
        state.data[at] += 30 if at[0] else -30
    state.data[40, 3, 3] = np.nan
    state.dq[20, 2, 2], state.data[20, 2, 2] = flags.DO_NOT_USE, 1e6
    out, _ = detect(state, None, OutlierDetectionParams(snr=7.0))
    expected = state.dq.copy()
    for at in planted:
        expected[at] = MARK
    np.testing.assert_array_equal(out.dq, expected)
    np.testing.assert_array_equal(out.data, state.data)


def test_the_threshold_is_in_errors():
    state = rates()
    state.data[:] = 100
    state.data[7, 1, 1], state.data[8, 1, 1] = 109.9, 110.1  # the error is 2
    out, _ = detect(state, None, OutlierDetectionParams())
    assert (out.dq[7, 1, 1], out.dq[8, 1, 1]) == (0, MARK)


def test_short_exposures_use_one_median():
    state = rates(20)
    state.data[:] = np.arange(20)[:, None, None]
    out, _ = detect(state, None, OutlierDetectionParams(snr=4.0))
    assert [int(q) for q in out.dq[:, 0, 0]] == [MARK if abs(t - 9.5) > 8 else 0 for t in range(20)]


def test_chunks_with_their_halo_equal_the_whole():
    state = rates(100)
    rng = np.random.default_rng(4)
    hits = rng.random(state.data.shape) < 0.01
    state.data[hits] += 40
    whole, _ = detect(state, None, OutlierDetectionParams())
    halo = outlier_detection.halo
    for first, last in ((0, 40), (40, 80), (80, 100)):
        at = np.arange(first - halo if first else 0, min(last + halo, 100))
        planes = {k: getattr(state, k)[at] for k in ("data", "var_poisson", "var_rnoise", "var_flat", "dq")}
        chunk, _ = detect(Rates(**planes, integration=at), None, OutlierDetectionParams())
        inner = slice(first - at[0], last - at[0])
        np.testing.assert_array_equal(chunk.dq[inner], whole.dq[first:last])


def test_padding_changes_nothing():
    state = rates(40)
    state.data[38, 1, 1] += 30
    whole, _ = detect(state, None, OutlierDetectionParams())

    def pad(plane, value):
        return np.concatenate([plane, np.full((9, *plane.shape[1:]), value, plane.dtype)])

    padded = replace(
        state,
        **{k: pad(getattr(state, k), 0) for k in ("data", "var_poisson", "var_rnoise", "var_flat")},
        dq=pad(state.dq, flags.DO_NOT_USE),
        integration=np.arange(49),
    )
    out, _ = detect(padded, None, OutlierDetectionParams())
    np.testing.assert_array_equal(out.dq[:40], whole.dq)
    assert int(whole.dq[38, 1, 1]) == MARK


@pytest.mark.peer
@pytest.mark.parametrize("count", [60, 20])
def test_official_detection_flags_the_same(count):
    official = pytest.importorskip("jwst.outlier_detection.tso")
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    state = rates(count, seed=9, shape=(20, 30))
    state.data[np.random.default_rng(2).random(state.data.shape) < 0.02] += 11
    err = np.sqrt(state.var_poisson + state.var_rnoise)
    model = datamodels.CubeModel(data=state.data.copy(), err=err, dq=state.dq.copy())
    model.var_poisson, model.var_rnoise = state.var_poisson, state.var_rnoise
    found = official.detect_outliers(model, False, "", 0.7, 25, 5.0, None)
    ours, _ = detect(state, None, OutlierDetectionParams())
    assert (np.asarray(ours.dq) == MARK).sum() > 50
    np.testing.assert_array_equal(found.dq, ours.dq)
