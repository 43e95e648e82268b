"""Pink noise over a whole exposure: no seam, no dependence on its length; its structure in even and odd pixels."""

import equinox as eqx
import jax
import numpy as np
import pytest

from uptheramp.calibrate.kernels.readout import CLOCK_S

SEEDS, COUNT = 150, 64
ON = ("one_over_f",)


def autocovariance(own, seconds):
    """A^2 sum_k v_k exp(-rate_k t) of a pixel that sees one stream, e-^2."""
    fading = np.exp(-np.multiply.outer(np.abs(seconds), own.rate_per_s))
    return (own.amplitude_e**2).sum() * (fading * own.deviation**2).sum(-1)


@pytest.fixture(scope="module")
def series(bench):
    """One pixel's reads (seed, integration, frame), e-, with the times of the reads and the constants of the noise."""
    made = bench("nirspec_prism", (8, 4), ngroups=2, nints=COUNT)
    own = made.own["one_over_f"] = only(made.own["one_over_f"], "common")
    keys = jax.random.split(jax.random.key(2), SEEDS)
    dn = np.asarray(jax.lax.map(lambda key: made.drawn(key, COUNT, ON)[0][..., 2, 3], keys, batch_size=50), float)
    time_s = np.arange(COUNT)[:, None] * made.params.cadence_s + np.arange(2) * made.params.frame_time_s
    return dn * float(made.maps.gain[2, 3]), time_s, own


def only(own, *names):
    """Return the constants with the other streams at zero."""
    keep = np.array([name in names for name in own.layout.streams])
    return eqx.tree_at(lambda p: p.amplitude_e, own, own.amplitude_e * keep)


def test_steps_over_a_reset_are_those_of_the_same_time_inside_an_integration(series):
    x, time_s, own = series
    pairs = {
        "inside": (x[:, :, 0], x[:, :, 1], time_s[0, 1] - time_s[0, 0]),
        "over the reset": (x[:, :-1, 1], x[:, 1:, 0], time_s[1, 0] - time_s[0, 1]),
        "over the exposure": (x[:, :4, 0], x[:, -4:, 0], time_s[-4, 0] - time_s[0, 0]),
    }
    for name, (before, after, lag_s) in pairs.items():
        each = ((after - before) ** 2).mean(1)  # independent from seed to seed
        expected = 2 * (autocovariance(own, 0.0) - autocovariance(own, lag_s))
        assert abs(each.mean() - expected) < 4.5 * each.std() / np.sqrt(SEEDS), name


def test_the_power_spectrum_does_not_depend_on_the_length_of_the_exposure(series):
    x, time_s, own = series
    cadence_s = time_s[1, 0] - time_s[0, 0]
    for count in (16, COUNT):
        window = np.hanning(count + 1)[:-1]
        window = window / np.sqrt((window**2).mean() * count)
        power = np.abs(np.fft.rfft(x[:, :count, 0] * window, axis=1)) ** 2  # per sample: one unit for all lengths
        lags = np.subtract.outer(np.arange(count), np.arange(count)) * cadence_s
        wave = np.exp(-2j * np.pi * np.outer(np.arange(count // 2 + 1), np.arange(count)) / count) * window
        expected = np.einsum("ki,ij,kj->k", wave, autocovariance(own, lags), wave.conj()).real
        band = slice(2, -1)
        ratio = power[:, band] / expected[band]
        assert ratio.mean() == pytest.approx(1, abs=4.5 * ratio.mean(1).std() / np.sqrt(SEEDS))
        assert ratio.mean(0) == pytest.approx(np.ones(ratio.shape[1]), abs=4.5 / np.sqrt(SEEDS))
    # red, over a floor of what single reads alias down from all higher frequencies
    assert expected[2] > 2 * expected[-2]


@pytest.mark.parametrize("kind", ["common", "alternating", "independent"])
def test_streams_have_their_place_in_lines_and_outputs(bench, kind):
    made = bench("nircam_f322w2", (32, 8), ngroups=2)
    own = made.own["one_over_f"] = only(made.own["one_over_f"], kind)
    dn, _ = made.drawn(jax.random.key(5), 40, ON)
    e = np.asarray(dn, float).reshape(-1, 8, 32) * np.asarray(made.maps.gain)
    outputs = e.reshape(-1, 8, 4, 8)  # stripes of 8 pixels along the line
    fading = (own.deviation**2 * np.exp(-own.rate_per_s * CLOCK_S)).sum() / (own.deviation**2).sum()
    even, odd = outputs[..., ::2], outputs[..., 1::2]
    correlation = (even * odd).mean() / (outputs**2).mean()
    # neighbours follow each other by one clock; the sign is what tells the alternating stream
    assert correlation == pytest.approx(-fading if kind == "alternating" else fading, abs=0.03)
    if kind == "independent":
        levels = outputs.mean((1, 3))  # of 80 frames, slow parts shared: far from -1 and 1
        assert not np.allclose(levels[:, 0], levels[:, 1], atol=0.1 * levels.std())
    else:
        assert np.abs(outputs - outputs[:, :, :1]).max() < 1e-4 * np.abs(e).max()
