"""Noise that lines of the read-out share: generalised least squares, and the covariance of spectra and channels."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from traces import APERTURE, HEIGHT, LIGHT, WIDTH, box_flux, profile, rates
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.stage2.extract_1d import Extract1dParams, Extract1dRefs, extract_1d, learn_profile, with_lines
from uptheramp.calibrate.stage3.bins import between
from uptheramp.calibrate.stage3.channels import channels
from uptheramp.calibrate.state import take

N, SAMPLE, LEVEL, OUTPUTS = 400, 60, 4.0, 2
TRUE = profile().astype(np.float32)
FAINT = 0.1 * LIGHT * profile()
EDGES = 0.995 + 0.01 * np.array([0, 10, 25, 40, 80])  # the last channel is the second output


def extracted(state, **choices):
    """Spectra with the true profile and what else is learned on a sample."""
    params = Extract1dParams(trace=False, **choices)

    @eqx.filter_jit
    def run(state, sample):
        refs = Extract1dRefs(APERTURE, None)
        learned = replace(learn_profile(sample, refs, Extract1dParams(trace=False)), data=jnp.asarray(TRUE))
        if params.lines != "none":
            learned = with_lines(learned, sample, refs, params, -2)
        return extract_1d(state, replace(refs, profile=learned), params)[0], learned

    return run(state, take(state, slice(0, SAMPLE)))


@pytest.fixture(scope="module")
def striped():
    """A level of each row and output, new in every image."""
    state = rates(np.broadcast_to(FAINT, (N, HEIGHT, WIDTH)), 1)
    level = LEVEL * np.random.default_rng(2).normal(size=(N, HEIGHT, OUTPUTS))
    return replace(state, data=(state.data + np.repeat(level, WIDTH // OUTPUTS, 2)).astype(np.float32))


@pytest.mark.parametrize("method", ["box", "optimal"])
def test_lines_along_the_dispersion(striped, method):
    """Errors and covariance of elements and of channels are those of the draws; solving for the levels lowers both."""
    out, learned = extracted(striped, method=method, background="none", lines="along", outputs=OUTPUTS)
    rest = np.asarray(out.flux, float) - box_flux(FAINT)
    np.testing.assert_allclose(rest.std() / np.sqrt((np.asarray(out.err) ** 2).mean()), 1, atol=0.03)
    shared = np.asarray(learned.shared, float)
    half = WIDTH // 2
    assert np.all((shared @ shared.T)[:half, half:] == 0)
    sums = [rest[:, :half].sum(1), rest[:, half:].sum(1)]  # of an output: the shared part is most of it
    for part, mine in zip(sums, (slice(0, half), slice(half, None)), strict=True):
        variance = (np.asarray(out.err)[0, mine] ** 2 - (shared[mine] ** 2).sum(1)).sum()
        together = variance + (shared[mine].sum(0) ** 2).sum()
        # sampling of the draws, and of the variance of levels that the sample showed
        assert part.var() / together == pytest.approx(1, abs=4 * np.sqrt(2 / N) + 0.1)
        assert together > 2 * variance
    if method == "optimal":
        plain, _ = extracted(striped, method="optimal", background="none")
        loss = (np.asarray(plain.flux) - box_flux(FAINT))[:, :half].sum(1).var()
        assert sums[0].var() < 0.8 * loss
    light, _ = channels(out, between(EDGES), np.arange(N) / N, 1.0, np.zeros(WIDTH))
    seen, told = np.cov(np.asarray(light.flux)), np.asarray(light.covariance)
    scale = np.sqrt(np.outer(told.diagonal(), told.diagonal()))
    np.testing.assert_allclose(seen / scale, told / scale, atol=4 * np.sqrt(2 / N) + 0.1)
    np.testing.assert_allclose(np.asarray(light.err).mean(1) ** 2, told.diagonal(), rtol=0.02)
    assert (told / scale)[1, 2] > 0.15
    assert abs((told / scale)[1, 3]) < 1e-6


def test_levels_across_the_dispersion_are_expected():
    """What is known of the level lowers the noise of a flux below that with a free one; errors say by how much."""
    sky = 20.0
    state = rates(np.broadcast_to(FAINT, (N, HEIGHT, WIDTH)), 3)
    level = sky + 1.0 * np.random.default_rng(4).normal(size=(N, 1, WIDTH))
    state = replace(state, data=(state.data + level).astype(np.float32))
    error = {}
    for lines in ("none", "across"):
        out, learned = extracted(state, method="optimal", background="fit", lines=lines)
        rest = np.asarray(out.flux) - box_flux(FAINT)
        error[lines] = rest.std()
        assert rest.std() / np.sqrt((np.asarray(out.err) ** 2).mean()) == pytest.approx(1, abs=0.03)
    np.testing.assert_allclose(np.sqrt(np.median(learned.level_variance)), 1.0, atol=0.2)
    assert error["across"] < 0.99 * error["none"]


def test_choices_are_checked():
    with pytest.raises(InputError, match="lines=across needs extract_1d.background=fit"):
        Extract1dParams(method="optimal", lines="across")
    params = Extract1dParams(lines="along", outputs=3)
    with pytest.raises(InputError, match="outputs=3 does not divide 80"):
        learn_profile(rates(FAINT[None]), Extract1dRefs(APERTURE, None), params)
