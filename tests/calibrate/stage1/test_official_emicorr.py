"""emicorr against the official function."""

from types import SimpleNamespace

import numpy as np
import pytest

from official_ramps import call, ramps
from uptheramp.calibrate import flags
from uptheramp.calibrate.references.emicorr import Emicorr, Wave
from uptheramp.calibrate.stage1.emicorr import EmicorrParams, EmicorrRefs, _Clock, emicorr, learn_emi

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")


@pytest.mark.parametrize(("separately", "ngroups"), [(False, 4), (True, 11)])
def test_emicorr(separately, ngroups):
    from jwst.emicorr.emicorr import emicorr_refwave

    state = ramps(nints=3, ngroups=ngroups, shape=(24, 32), top=400.0)
    state.data[:, :, 5, 5] *= 3  # unsteady
    state.pixeldq[6, 6] = flags.DO_NOT_USE
    state.data[0, -1, 5, 5] = 900
    phases = (np.arange(120) + 0.5) / 120
    waveform = np.sin(2 * np.pi * phases) + 0.3 * np.cos(6 * np.pi * phases)
    reference = Emicorr((Wave(np.float64(256.0), waveform), Wave(np.float64(9961.4), waveform)), 28, 15904, 1)
    for scale, wave in zip((40.0, 25.0), reference.waves, strict=True):
        clock = _Clock(state, reference, wave)
        state.data[:] += np.stack([clock.signal(0.313, scale, number) for number in range(3)])
    theirs = state.data.copy()
    for wave in reference.waves:
        theirs = emicorr_refwave(
            theirs, state.pixeldq, waveform, 1, 28, 15904, float(wave.period_clocks), fit_ints_separately=separately
        )
    params = EmicorrParams(fit_ints_separately=separately)
    refs = EmicorrRefs(reference, None)
    refs = EmicorrRefs(reference, learn_emi(state, refs, params))
    ours, _ = call(emicorr, state, refs, params)
    assert np.std(theirs - state.data) > 20
    np.testing.assert_allclose(ours.data, theirs, atol=0.02)


@pytest.mark.parametrize(("ngroups", "options"), [(12, {}), (4, {"nints_to_phase": 2, "nbins": 60})])
def test_the_sequential_algorithm(ngroups, options):
    """On a window of SUB64's clocks; the second wave is phased on what the first has left."""
    from jwst.emicorr.emicorr import _run_sequential_algorithm

    ny, nx, row_clocks, frame_clocks = 64, 72, 28, 8512
    state = ramps(nints=3, ngroups=ngroups, shape=(ny, nx), top=400.0)
    phases = (np.arange(128) + 0.5) / 128
    waveform = np.sin(2 * np.pi * phases) + 0.3 * np.cos(6 * np.pi * phases)
    reference = Emicorr(
        (Wave(np.float64(256.0), waveform), Wave(np.float64(457.62287), waveform)), row_clocks, frame_clocks, 1
    )
    for scale, wave in zip((40.0, 25.0), reference.waves, strict=True):
        clock = _Clock(state, reference, wave)
        state.data[:] += np.stack([clock.signal(0.313, scale, number) for number in range(3)])
    meta = SimpleNamespace(
        instrument=SimpleNamespace(detector="MIRIMAGE"),
        subarray=SimpleNamespace(xsize=nx, xstart=1, name="SUB64"),
        exposure=SimpleNamespace(readpatt="FASTR1"),
    )
    hertz = [1e5 / float(w.period_clocks) for w in reference.waves]
    given = {"nints_to_phase": None, "nbins": None, "scale_reference": True, "use_n_cycles": 3, **options}
    model = SimpleNamespace(data=state.data.copy(), meta=meta)
    clocks = 1, row_clocks, frame_clocks
    theirs = _run_sequential_algorithm(model, ["a", "b"], hertz, [waveform] * 2, *clocks, **given).data
    params = EmicorrParams(algorithm="sequential", **options)
    refs = EmicorrRefs(reference, None)
    refs = EmicorrRefs(reference, learn_emi(state, refs, params))
    ours, _ = call(emicorr, state, refs, params)
    assert np.std(theirs - state.data) > 10
    apart = np.abs(np.asarray(ours.data) - theirs)
    assert np.mean(apart > 0.01) < 1e-3  # reads at the edge of an element of the wave may fall on either side of it
    assert np.median(apart) < 1e-3
