"""`uptheramp fit` of interference: recovered, as plain least squares finds it, and taken by both pipelines."""

import json
from pathlib import Path

import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references.emicorr import Emicorr
from uptheramp.calibrate.stage1.emicorr import EmicorrParams, EmicorrRefs, emicorr, learn_emi
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.tables import structure
from uptheramp.scenarios.systematics import emi, emi_model, emi_run, exposures, run
from uptheramp.scenarios.systematics.fit_file import FitFile
from uptheramp.simulate.ramps import lamp, render

KNOBS = {"amplitude": 1.2, "delay_s": 0.0017, "frequency_ppm": 40.0}


def asked(**changes):
    content = {
        "name": "small",
        "family": "emi",
        "mode": "miri_image_f770w",
        "subarray": "SUB64",
        "effects_off": ["cosmic_rays"],
        "effects": {"emi": KNOBS},
        "ramps": [{"fill": 0.0, "ngroups": 4, "nints": 16}],
    }
    return structure(content | changes, FitFile, "small")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """The exposure, the fit, and the folder of its products."""
    file, out = asked(), tmp_path_factory.mktemp("emi")
    ramps = exposures.ramp_sets(file, Path())[0]
    outcome = emi_run.run(file, [ramps], lambda done, total: None)
    run.write(file, ramps.observation, outcome, out, "")
    return ramps, outcome, out


def test_tones_are_recovered_with_honest_errors(fitted):
    ramps, _, out = fitted
    figures = json.loads((out / "fit.json").read_text())
    assert figures["converged"]
    seen = np.array([e is not None for e in figures["error"]])
    off, error, fisher, laplace = (
        np.array(values)[seen].astype(float)
        for values in (figures["truth"]["off"], figures["error"], figures["fisher"], figures["laplace"])
    )
    assert np.abs(off / error).max() < 4
    assert laplace == pytest.approx(fisher, rel=0.05)
    # 1/f noise rules at 10 Hz and hardly matters at 390
    ratio = dict(zip(np.array(figures["names"])[seen], error / fisher, strict=True))
    assert 1 < ratio["amplitude_dn_390.625Hz"] < 1.1
    assert ratio["amplitude_dn_10.0392Hz"] > 1.5
    assert all(abs(c["sigma"]) < 5 for c in figures["checks"].values())
    own = ramps.constants.own["emi"]
    assert error[0] < 0.01 * own.amplitude_dn[0]


def test_a_tone_turned_over_is_the_same_half_a_turn_later():
    x, t = np.array([-2.0, 0.5, 0.1, 0.9, 30.0]), np.linspace(0, 1, 50)

    def wave(x):
        return x[0] * np.sin(2 * np.pi * (3 * t + x[2])) + x[1] * np.sin(2 * np.pi * (5 * t + x[3]))

    turned = emi.upright(x, 2)
    assert (turned[:2] > 0).all()
    np.testing.assert_allclose(wave(turned), wave(x), atol=1e-12)


def test_a_tone_that_stands_still_in_the_frame_is_said_to_be_unseen(fitted):
    _, outcome, _ = fitted
    figures = outcome.figures
    # 133 periods of 1562.5 Hz in a frame of SUB64
    assert [n for n, e in zip(figures["names"], figures["error"], strict=True) if e is None] == [
        "amplitude_dn_1562.5Hz",
        "phase_turns_1562.5Hz",
    ]
    assert any(w.startswith("1562.5Hz: comes back") for w in outcome.warnings)


def test_plain_least_squares_finds_the_same_tones(fitted):
    # in the dark noise is white from read to read: reads less their means over groups and over integrations
    ramps, outcome, _ = fitted
    names, value, error = (outcome.figures[n] for n in ("names", "value", "error"))
    data = ramps.data[1:, :, :, 4:].astype(float)
    odd = data.std(axis=(0, 1))
    data = data[:, :, odd < 1.5 * np.median(odd)]
    i, g, row, column = np.ogrid[1:16, :4, :64, 4:72]
    t = (i * 5 + g) * 0.08512 + (row * 28 + column // 4 + 1) * 1e-5
    t = np.broadcast_to(t, (15, 4, 64, 68))[:, :, odd < 1.5 * np.median(odd)]
    ppm = dict(zip(names, value, strict=True))
    waves = []
    for f, base in ((390.625, 390.625), (781.25, 390.625), (10.039216, 10.0392)):
        turns = 2 * np.pi * f * (1 + 1e-6 * ppm[f"ppm_{base:g}Hz"]) * t
        waves += [np.sin(turns), np.cos(turns)]

    def centred(a):
        return (a - a.mean(0) - a.mean(1, keepdims=True) + a.mean((0, 1))).ravel()

    design = np.stack([centred(w) for w in waves], axis=1)
    sine, cosine = np.linalg.lstsq(design, centred(data), rcond=None)[0].reshape(3, 2).T
    for n, f in enumerate(("390.625", "781.25", "10.0392")):
        index = names.index(f"amplitude_dn_{f}Hz")
        # pixels of odd noise are left out here and weighted there
        assert abs(np.hypot(sine[n], cosine[n]) - value[index]) < 0.5 * error[index]
        place = names.index(f"phase_turns_{f}Hz")
        off = np.arctan2(cosine[n], sine[n]) / (2 * np.pi) - value[place]
        assert abs((off + 0.5) % 1 - 0.5) < 0.5 * error[place]


def test_tones_that_the_model_lacks_show(fitted):
    ramps, _, _ = fitted
    file = asked()
    v = emi_model.prepared(ramps, file.model, file.emi, 0)
    _, _, (_, power) = emi.start(v, ramps.observation.detector.emi, 0.0)
    assert power.max() > np.log(len(power)) + 100


@pytest.fixture(scope="module")
def alone(fitted):
    """Twelve groups of the tones alone, on a ramp, and what the reference says of them."""
    ramps, _, out = fitted
    o = exposures.observed(asked(), 12, 3, 0)
    constants = lamp.build(o, 0.0)
    tones = np.asarray(render.mean_ramps(constants, np.int64(0), 3, ("emi",), {})[0], np.float32)
    data = tones + 1000 + 50 * np.arange(12, dtype=np.float32)[:, None, None]
    # noise, without which no pixel is steady
    data = (data + np.random.default_rng(0).normal(0, 0.5, data.shape)).astype(np.float32)
    return o, data, tones, out / "references" / "fitted" / "miri_mirimage_emicorr.asdf"


def left(data, tones):
    """Rms of differences of groups, less the ramp, over that of the tones."""
    return np.std(np.diff(data, axis=1)) / np.std(np.diff(tones, axis=1))


def test_our_step_takes_the_reference(alone):
    o, data, tones, path = alone
    flat = np.zeros(o.shape, np.uint32)
    times = np.float64(o.subarray.frame_time_s), np.float64(o.subarray.frame_time_s)
    state = Ramps(data, np.zeros(data.shape, np.uint8), flat, np.arange(3), *times, o.readout)
    refs, params = EmicorrRefs(Emicorr.from_file(path, o.meta), None), EmicorrParams()
    refs = EmicorrRefs(refs.emicorr, learn_emi(state, refs, params))
    straight, _ = emicorr(state, refs, params)
    assert left(data, tones) > 0.95
    assert left(np.asarray(straight.data), tones) < 0.25


@pytest.mark.peer
def test_the_official_step_takes_the_reference(alone):
    pytest.importorskip("jwst")
    from jwst.emicorr import EmiCorrStep
    from stdatamodels.jwst.datamodels import RampModel

    o, data, tones, path = alone
    with RampModel(data=data, groupdq=np.zeros(data.shape, np.uint8), pixeldq=np.zeros(o.shape, np.uint32)) as model:
        model.meta.instrument.name, model.meta.instrument.detector = "MIRI", "MIRIMAGE"
        model.meta.exposure.readpatt, model.meta.exposure.nsamples = o.pattern.name, 1
        s = model.meta.subarray
        s.name, s.xstart, s.ystart, s.xsize, s.ysize = "SUB64", *o.subarray.start, *o.subarray.size
        step = EmiCorrStep()
        step.algorithm = "joint"
        step.override_emicorr = str(path)
        straight = step.process(model)
    assert straight.meta.cal_step.emicorr == "COMPLETE"
    assert left(np.asarray(straight.data), tones) < 0.25


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "nirspec_prism", "subarray": "SUB512S", "effects": {}}, "no interference is known in NRS1"),
        ({"emi": {"skip_integrations": 14}}, "at least 2 groups and 4 integrations"),
        ({"ramps": 2 * [{"fill": 0.0, "ngroups": 4, "nints": 16}]}, "belong to one exposure"),
    ],
)
def test_what_cannot_be_found_is_refused(changes, message):
    file = asked(**changes)
    o = exposures.observed(file, 4, 16, 0)
    sets = [exposures.RampSet(o, np.zeros((16, 4, *o.shape)), "dark", True, None)] * len(file.ramps)
    with pytest.raises(InputError, match=message):
        emi_run.run(file, sets, lambda done, total: None)
