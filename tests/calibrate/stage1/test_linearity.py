"""Groups that average frames: the polynomial of an average is not the average of the polynomials."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.calibrate.stage1.linearity import LinearityParams, LinearityRefs, linearity

COEFFS = np.array([0.0, 1.0, 2e-7, 3e-11])  # 10 % at 50 000 DN
EACH, AVERAGE = LinearityParams(frames_within_groups=True), LinearityParams()


def seen(true):
    """Signal whose polynomial is `true`, by Newton's method."""
    x = np.array(true)
    for _ in range(30):
        x = x - (np.polyval(COEFFS[::-1], x) - true) / np.polyval(np.polyder(COEFFS[::-1]), x)
    return x


def averaged(exposure, nframes, groupgap=0, ngroups=4):
    """Straight ramps (DN) by frame, and the state that holds the groups of what the detector shows."""
    case = exposure(nints=2, ngroups=ngroups, nframes=nframes, groupgap=groupgap)
    frames = ngroups * (nframes + groupgap)
    top = np.linspace(5000, 55000, 12 * 32).reshape(12, 32)
    true = top * (np.arange(frames)[:, None, None] + 1) / frames
    by_group = [x.reshape(ngroups, -1, 12, 32)[:, :nframes].mean(1) for x in (true, seen(true))]
    data = jnp.asarray(by_group[1][None])
    state = replace(case.ramps, data=data, groupdq=jnp.zeros(data.shape, jnp.uint8), integration=np.arange(1))
    dq = np.zeros((12, 32), np.uint32)
    coeffs = np.broadcast_to(COEFFS[:, None, None], (4, 12, 32)).copy()
    return by_group[0], state, LinearityRefs(Linearity(coeffs, dq))


@pytest.mark.parametrize(("nframes", "groupgap"), [(2, 0), (8, 2), (4, 1)])
def test_the_mean_of_straight_frames_comes_out(exposure, nframes, groupgap):
    true, state, refs = averaged(exposure, nframes, groupgap)
    error = {p: np.asarray(linearity(state, refs, p)[0].data[0]) - true for p in (AVERAGE, EACH)}
    # what is left is of fourth order, and the curve of the ramp within the groups beside it
    assert np.abs(error[EACH]).max() < 0.1 * np.abs(error[AVERAGE]).max()
    # p'' v / 2 with the spread v of a straight ramp's frames; the ramp as seen is up to 10 % flatter
    step = true[-1] / (4 * (nframes + groupgap))
    expected = -(2 * COEFFS[2] + 6 * COEFFS[3] * np.asarray(state.data[0])) * step**2 * (nframes**2 - 1) / 24
    np.testing.assert_allclose(error[AVERAGE][1], expected[1], rtol=0.35)


def test_single_frames_are_corrected_alike(exposure):
    _, state, refs = averaged(exposure, 1)
    each, average = (np.asarray(linearity(state, refs, p)[0].data) for p in (EACH, AVERAGE))
    np.testing.assert_array_equal(each, average)


def test_saturated_groups_say_nothing_of_their_neighbours(exposure):
    true, state, refs = averaged(exposure, 4)
    full = state.groupdq.at[:, 2:].set(flags.SATURATED)
    spoilt = replace(state, data=state.data.at[:, 2:].set(1e6), groupdq=full)
    out = np.asarray(linearity(spoilt, refs, EACH)[0].data[0])
    assert (out[2:] == 1e6).all()
    plain = np.asarray(linearity(spoilt, refs, AVERAGE)[0].data[0])
    assert np.abs(out[:2] - true[:2]).max() < 0.2 * np.abs(plain[:2] - true[:2]).max()
