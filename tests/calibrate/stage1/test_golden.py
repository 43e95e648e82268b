"""Steps against stored results of the official pipeline (recipes: tests/golden/make_*.py)."""

from dataclasses import replace
from pathlib import Path

import equinox as eqx
import numpy as np
import pytest

import irs2_frames
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.references.dark import Dark
from uptheramp.calibrate.references.emicorr import Emicorr, Wave
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.references.refpix import Refpix
from uptheramp.calibrate.stage1.clean_flicker_noise import (
    CleanFlickerNoiseParams,
    CleanFlickerNoiseRefs,
    FlickerScene,
    clean_flicker_noise,
)
from uptheramp.calibrate.stage1.emicorr import EmicorrParams, EmicorrRefs, emicorr
from uptheramp.calibrate.stage1.jump import JumpParams, jump
from uptheramp.calibrate.stage1.ramp_fit import RampFitParams, ramp_fit
from uptheramp.calibrate.stage1.refpix import RefpixParams, RefpixRefs, learn_predictor, refpix
from uptheramp.calibrate.stage1.table import DEFAULTS
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.stream import detector

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize("mode", ["nrs_prism", "nrc_sub64", "miri_lrs"])
def test_flags_and_rates_are_those_of_the_official_pipeline(mode):
    g = np.load(GOLDEN / f"stage1_tail_{mode}.npz")
    nints, ngroups = g["data"].shape[:2]
    readout = Readout(ngroups, 1, 0, 1, 1, 2, 1, (0, 0), (0, 0), "none", 0)
    ramps = Ramps(g["data"], g["groupdq"], g["pixeldq"], np.arange(nints), *g["times"], readout)
    library = {
        "gain": Gain(g["gain"], np.float32(1)),
        "readnoise": ReadNoise(g["readnoise"]),
        "dark": Dark(np.zeros((1, ngroups, *g["gain"].shape), np.float32), g["pixeldq"] * 0, g["dark_current"]),
    }
    (ours,) = detector((jump, ramp_fit), [(0, nints, ramps)], library, DEFAULTS["jwst_3_0"])
    inner = (Ellipsis, slice(1, -1), slice(1, -1))  # hits outside the window flag their neighbours within
    flags = g["official_groupdq"]
    assert ((flags & 4) != 0)[inner].any()
    np.testing.assert_array_equal(np.asarray(ours.groupdq)[inner], flags[inner])
    slope, read, poisson = (g[f"official_{name}"][inner] for name in ("sci", "var_rnoise", "var_poisson"))
    rated = np.isfinite(slope)
    rates = ours.rates
    np.testing.assert_array_equal(np.asarray(rates.dq)[inner], g["official_dq"][inner])
    np.testing.assert_array_equal(np.isfinite(np.asarray(rates.data)[inner]), rated)
    tolerance = 1e-5 * np.abs(slope) + 1e-4 * np.sqrt(read + poisson)
    assert (np.abs(np.asarray(rates.data)[inner] - slope) <= tolerance)[rated].all()
    np.testing.assert_allclose(np.asarray(rates.var_rnoise)[inner], read, rtol=1e-5)
    assert (np.abs(np.asarray(rates.var_poisson)[inner] - poisson) <= 1e-5 * poisson + 1e-4 * read).all()


FRAME_S, GAIN, READ_DN = 2.0, 1.8, 9.0  # of the recipe


@pytest.fixture(scope="module")
def stored():
    with np.load(GOLDEN / "stage1_steps.npz") as file:
        return dict(file)


def state_of(data, nframes=1, gap=0, **more):
    nints, ngroups, *shape = data.shape
    readout = Readout(ngroups, nframes, gap, nframes, 1, 2, 1, (0, 0), (0, 0), "none", 0)
    times = np.float64(FRAME_S), np.float64(FRAME_S * (nframes + gap))
    values = {"groupdq": np.zeros(data.shape, np.uint8), "pixeldq": np.zeros(shape, np.uint32), **more}
    first = values.pop("zeroframe", None)
    return Ramps(data, **values, integration=np.arange(nints), frame_time_s=times[0], group_time_s=times[1],
                 readout=readout, zeroframe=first)  # fmt: skip


def detector_refs(shape):
    return {
        "gain": Gain(np.full(shape, GAIN, np.float32), np.float32(1)),
        "readnoise": ReadNoise(np.full(shape, READ_DN * 2**0.5, np.float32)),
    }


def test_sigma_clipping_flags_as_stored(stored):
    state = state_of(stored["clip_data"], groupdq=stored["clip_groupdq"])
    ours, _ = eqx.filter_jit(jump)(state, jump.select(detector_refs(state.pixeldq.shape)), JumpParams())
    assert (stored["clip_official"] & 4).any()
    np.testing.assert_array_equal(ours.groupdq, stored["clip_official"])


def test_likelihood_fit_as_stored(stored):
    state = state_of(stored["likely_data"], 4, 1, zeroframe=stored["likely_zeroframe"])
    refs = ramp_fit.select(detector_refs(state.pixeldq.shape))
    rates, info = eqx.filter_jit(ramp_fit)(state, refs, RampFitParams(algorithm="LIKELY"))
    official = {name.removeprefix("likely_official_"): value for name, value in stored.items()}
    np.testing.assert_array_equal(rates.dq, official["dq"])
    assert (official["dq"] & 4).any()
    allowed = 1e-5 * np.abs(official["slope"]) + 1e-3 * official["err"]
    assert (np.abs(np.asarray(rates.data) - official["slope"]) <= allowed).all()
    np.testing.assert_allclose(rates.var_poisson, official["var_poisson"], rtol=2e-4, atol=1e-5)
    np.testing.assert_allclose(info.chi_square, official["chisq"], rtol=2e-3, atol=2e-3)


def test_interference_as_stored(stored):
    state = state_of(stored["emi_data"])
    refs = EmicorrRefs(Emicorr((Wave(np.float64(256.0), stored["emi_wave"]),), 28, 15904, 1), None)
    ours, _ = eqx.filter_jit(emicorr)(state, refs, EmicorrParams())
    assert np.std(stored["emi_official"] - stored["emi_data"]) > 10
    np.testing.assert_allclose(ours.data, stored["emi_official"], atol=0.02)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("snowballs", JumpParams(expand_large_events=True, edge_size=6)),
        ("showers", JumpParams(find_showers=True, max_shower_amplitude=6.1)),
    ],
)
def test_large_events_as_stored(name, params):
    with np.load(GOLDEN / "large_events.npz") as file:
        g = {key.removeprefix(f"{name}_"): value for key, value in file.items() if key.startswith(name)}
    state = state_of(g["data"].astype(np.float32), groupdq=g["groupdq"], pixeldq=g["pixeldq"])
    refs = jump.select(detector_refs(state.pixeldq.shape))
    ours, _ = eqx.filter_jit(jump)(state, refs, params)
    np.testing.assert_array_equal(ours.groupdq, g["official"])


@pytest.mark.parametrize(
    ("name", "slow_axis", "params"),
    [
        ("fft", -1, CleanFlickerNoiseParams(fit_method="fft")),
        ("model", 1, CleanFlickerNoiseParams(background_method="model")),
    ],
)
def test_flicker_noise_as_stored(name, slow_axis, params):
    with np.load(GOLDEN / "flicker.npz") as file:
        g = {key.removeprefix(f"{name}_"): value for key, value in file.items() if key.startswith(name)}
    state = state_of(g["data"].astype(np.float32), groupdq=g["groupdq"])
    state = replace(state, readout=replace(state.readout, slow_axis=slow_axis))
    known = detector_refs(g["dark"].shape)
    scene = FlickerScene(g["dark"], np.zeros_like(g["dark"]), np.float32(1), None)
    refs = CleanFlickerNoiseRefs(known["gain"], known["readnoise"], None, scene)
    ours, _ = eqx.filter_jit(clean_flicker_noise)(state, refs, params)
    assert np.std(g["official"] - state.data) > 5
    np.testing.assert_allclose(ours.data, g["official"], atol=0.01)


def test_reference_pixels_of_irs2_frames_as_stored():
    with np.load(GOLDEN / "irs2.npz") as file:
        g = dict(file)
    data, dq = irs2_frames.raw_frames("NRS2", 1, 2, seed=4), irs2_frames.bad_mask("NRS2")
    state = irs2_frames.state_of(data, dq, "NRS2")
    reference = Refpix.of_tables(irs2_frames.factors(), irs2_frames.TABLE)
    bad = eqx.filter_jit(learn_predictor)(state, RefpixRefs(None, reference), RefpixParams())
    ours, _ = eqx.filter_jit(refpix)(state, RefpixRefs(bad, reference), RefpixParams())
    np.testing.assert_array_equal(bad.bad, g["bad"])
    before, after = (np.asarray(x.data)[0][:, g["y"], g["x"]] for x in (state, ours))
    assert np.std(g["official"] - before) > 2
    np.testing.assert_allclose(after, g["official"], atol=0.002)
