"""Where the trace of SOSS lies in each integration: against images moved and widened by known amounts."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.references.pastasoss import Pastasoss
from uptheramp.calibrate.references.specprofile import Specprofile
from uptheramp.calibrate.stage2.soss_extract import Extract1dParams, Extract1dRefs, extract_1d, learn_typical
from uptheramp.calibrate.state import Rates

HEIGHT, WIDTH = 48, 40
COLUMN = np.arange(WIDTH)
AT_REST = np.stack([16 - 0.1 * COLUMN, 34 + 0.1 * COLUMN])
FLUX = np.stack([9000 + 50.0 * COLUMN, 3000 - 20.0 * COLUMN])


def profile_of(trace, widened=0.0):
    """A core with wings, sampled at the pixels, so that a motion by many pixels is known too."""
    s = (np.arange(HEIGHT)[:, None] - trace) / (1 + widened)
    return (0.8 * np.exp(-0.5 * (s / 3) ** 2) / 7.5 + 0.2 * 4 / np.pi / (16 + s**2)) / (1 + widened)


def images(lies, noise, seed):
    """Two orders that move alike, over a level; `lies` (position, rotation, width) of each integration."""
    t = np.linspace(-1, 1, WIDTH)
    rng = np.random.default_rng(seed)
    clean = np.stack(
        [
            sum(profile_of(trace + a + b * t, c) * light for trace, light in zip(AT_REST, FLUX, strict=True)) + 40
            for a, b, c in lies
        ]
    )
    variance = np.broadcast_to(clean.mean(0) + 25, clean.shape)
    data = clean + noise * np.sqrt(variance) * rng.normal(size=clean.shape)
    zero = np.zeros_like(data)
    return Rates(data, variance - 25, zero + 25, zero, np.zeros(data.shape, np.uint32), np.arange(len(data)))


def refs_of(state, params):
    wavelength = np.stack([2 - 0.01 * COLUMN, 1 - 0.01 * COLUMN])
    pastasoss = Pastasoss(AT_REST, wavelength, np.ones(2), np.ones((2, 2)), (1, 2))
    profiles = Specprofile(np.stack([profile_of(trace) for trace in AT_REST]), (1, 2))
    refs = Extract1dRefs(pastasoss, profiles, None)
    return replace(refs, typical=learn_typical(state, refs, params))


@pytest.mark.parametrize("method", ["optimal", "box"])
def test_the_trace_is_told_as_it_was_moved(method):
    lies = np.zeros((6, 3))
    lies[1:4, 0], lies[3:, 1], lies[4:, 2] = (0.02, -0.03, 0.05), (0.04, -0.02, 0.01), (0.004, -0.006)
    state, params = images(lies, 0.0, 0), Extract1dParams(method=method)
    spectra, _ = extract_1d(state, refs_of(state, params), params)
    # good to first order; the second order moves as the first does, and its wings are in the pixels of the first
    np.testing.assert_allclose(spectra.trace[:, 0], lies[:, 0], atol=2e-3)
    np.testing.assert_allclose(spectra.trace[:, 1], lies[:, 1], atol=2e-3)
    np.testing.assert_allclose(spectra.trace[:, 2], lies[:, 2], atol=5e-4)


def test_errors_are_the_scatter_of_many_draws():
    many, params = 400, Extract1dParams()
    state = images(np.zeros((many, 3)), 1.0, 1)
    spectra, _ = extract_1d(state, refs_of(state, params), params)
    pull = np.asarray(spectra.trace) / np.asarray(spectra.trace_err)
    five = 5 / np.sqrt(2 * many)  # standard errors of a standard deviation of one
    np.testing.assert_allclose(pull.std(0), 1, atol=five)
    np.testing.assert_allclose(pull.mean(0), 0, atol=5 / np.sqrt(many))


def test_bad_pixels_make_a_motion_too_small_by_their_share():
    lies = np.tile([0.05, 0.0, 0.0], (4, 1))
    state, params = images(lies, 0.0, 2), Extract1dParams()
    hit = np.random.default_rng(4).random(state.data.shape) < 0.03
    spoilt = replace(
        state, dq=np.where(hit, flags.DO_NOT_USE, 0).astype(np.uint32), data=np.where(hit, 1e6, state.data)
    )
    whole, missing = (extract_1d(s, refs_of(state, params), params)[0].trace[:, 0] for s in (state, spoilt))
    np.testing.assert_allclose(missing / whole, 0.97, atol=0.02)


def test_not_measured_where_not_asked_for():
    state, params = images(np.zeros((2, 3)), 0.0, 0), Extract1dParams(trace=False)
    refs = refs_of(state, params)
    assert refs.typical.moving is None
    assert extract_1d(state, refs, params)[0].trace is None


def test_derivative_by_a_pixel_equals_finite_differences():
    state, params = images(np.zeros((3, 3)), 1.0, 3), Extract1dParams()
    refs = refs_of(state, params)

    def position(value):
        data = jax.numpy.asarray(state.data).at[1, 20, 7].set(value)
        return extract_1d(replace(state, data=data), refs, params)[0].trace[1, 0]

    at, step = state.data[1, 20, 7], 1.0
    slope = jax.grad(position)(at)
    np.testing.assert_allclose(slope, (position(at + step) - position(at - step)) / (2 * step), rtol=1e-6)
    assert abs(slope) > 0
