"""linearity against the official function, and of frames that are known."""

from dataclasses import replace

import numpy as np
import pytest

from official_ramps import call, ramps
from uptheramp.calibrate import flags
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.calibrate.stage1.linearity import LinearityParams, LinearityRefs, linearity

pytestmark = pytest.mark.peer
pytest.importorskip("jwst")


def official(state, coeffs, **more):
    """Ramps, pixel flags and ZEROFRAME by the official function."""
    from stcal.linearity.linearity import linearity_correction
    from stdatamodels.jwst.datamodels import dqflags

    return linearity_correction(
        state.data.copy(),
        state.groupdq,
        state.pixeldq,
        coeffs.copy(),
        state.pixeldq,
        dqflags.pixel,
        zframe=state.zeroframe.copy(),
        **more,
    )


def test_linearity_of_ramps_and_zeroframe():
    state = ramps(nframes=4, zeroframe=True)
    state.zeroframe[0, 2, 2] = 0
    state.groupdq[:, 3:, 1] |= flags.SATURATED
    coeffs = np.zeros((4, *state.pixeldq.shape), np.float32)
    coeffs[1], coeffs[2], coeffs[3] = 1.01, 2e-6, 3e-12
    theirs = official(state, coeffs)
    ours, _ = call(linearity, state, LinearityRefs(Linearity(coeffs, state.pixeldq)), LinearityParams())
    np.testing.assert_allclose(ours.data, theirs[0], rtol=3e-7)
    np.testing.assert_allclose(ours.zeroframe, theirs[2], rtol=3e-7)
    assert float(ours.zeroframe[0, 2, 2]) == 0


def inverse_of(coeffs, degree=5):
    """Coefficients of the observed level by the true one, fitted pixel by pixel."""
    level = np.linspace(0, 66000, 200)
    flat = coeffs.reshape(len(coeffs), -1).astype(float)
    fitted = [np.polyfit(np.polyval(c[::-1], level), level, degree)[::-1] for c in flat.T]
    return np.array(fitted).T.reshape(degree + 1, *coeffs.shape[1:]).astype(np.float32)


def curved(shape):
    rng = np.random.default_rng(1)
    coeffs = np.zeros((4, *shape), np.float32)
    coeffs[1], coeffs[2], coeffs[3] = 1.0, 2e-6, 3e-11 * rng.uniform(0.5, 2, shape)
    return coeffs


@pytest.mark.parametrize("ngroups", [2, 5])
def test_linearity_of_averaged_frames(ngroups):
    state = ramps(nframes=4, ngroups=ngroups, zeroframe=True)
    state.groupdq[:, 3:, 1] |= flags.SATURATED
    state.groupdq[:, 1:, 2] |= flags.SATURATED
    state.groupdq[:, :, 3] |= flags.SATURATED
    coeffs = curved(state.pixeldq.shape)
    inverse = inverse_of(coeffs)
    pattern = [[k + 1 + 4 * g for k in range(4)] for g in range(ngroups)]
    theirs = official(state, coeffs, ilin_coeffs=inverse.copy(), read_pattern=pattern)
    refs = LinearityRefs(Linearity(coeffs, state.pixeldq, inverse))
    ours, _ = call(linearity, state, refs, LinearityParams())
    plain, _ = call(linearity, state, LinearityRefs(Linearity(coeffs, state.pixeldq)), LinearityParams())
    assert np.abs(theirs[0] - plain.data).max() > 20
    np.testing.assert_allclose(ours.data, theirs[0], rtol=3e-6, atol=0.02)
    np.testing.assert_allclose(ours.zeroframe, theirs[2], rtol=3e-7)


@pytest.mark.parametrize("gap", [0, 3])
def test_averaged_frames_of_a_straight_ramp_become_straight(gap):
    state = ramps(nints=1, ngroups=5, nframes=4, gap=gap)
    coeffs = curved(state.pixeldq.shape)
    inverse = inverse_of(coeffs, degree=8)
    rate = np.linspace(300, 1500, state.pixeldq.size).reshape(state.pixeldq.shape) * 4 / (4 + gap)
    frames = np.arange(5)[:, None] * (4 + gap) + np.arange(4) + 1
    true = rate * frames[..., None, None]
    observed = sum(c * true**n for n, c in enumerate(inverse.astype(float)))
    state = replace(state, data=observed.mean(1)[None].astype(np.float32), groupdq=np.zeros((1, 5, 10, 12), np.uint8))
    ours, _ = call(linearity, state, LinearityRefs(Linearity(coeffs, state.pixeldq, inverse)), LinearityParams())
    plain, _ = call(linearity, state, LinearityRefs(Linearity(coeffs, state.pixeldq)), LinearityParams())
    left, before = (np.abs(np.asarray(s.data)[0] - true.mean(1)).max() for s in (ours, plain))
    # what is left is how well the two polynomials undo each other, and float32
    undone = np.abs(sum(c * observed**n for n, c in enumerate(coeffs.astype(float))) - true).max()
    assert left < undone + 0.03 < 0.1 * before
