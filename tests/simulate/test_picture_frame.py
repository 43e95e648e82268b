"""Picture-frame noise: its pattern, its spectrum across resets, and that draws scatter as the covariance says."""

import jax
import numpy as np
import pytest

from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.simulate.detector import picture_frame
from uptheramp.simulate.ramps import covariance

ON = ("picture_frame",)
KNOBS = {"picture_frame": picture_frame.PictureFrameSettings(amplitude=100.0)}


def test_the_pattern_is_strongest_at_the_edges_and_has_unit_rms():
    pattern = picture_frame.template((300, 200), 20.0)
    assert np.sqrt((pattern**2).mean()) == pytest.approx(1)
    assert (pattern == pattern[::-1, ::-1]).all()
    assert pattern[150, 0] == pattern[0, 100] == pattern.max()
    assert pattern[150, 20] / pattern[150, 0] == pytest.approx(np.exp(-1))


@pytest.mark.parametrize(("mode", "size"), [("nirspec_prism", (16, 8)), ("nircam_f322w2", (16, 8))])
def test_lines_share_a_strength_and_draws_scatter_as_the_covariance_says(bench, mode, size):
    made = bench(mode, size, ngroups=3, settings=KNOBS)
    own = made.own["picture_frame"]
    seeds = 1500

    def first(key):
        return made.drawn(key, 1, ON)[0][0]

    dn = np.asarray(jax.lax.map(first, jax.random.split(jax.random.key(3), seeds), batch_size=100), float)
    dn = dn - np.asarray(made.mean(1, ())[0], float)
    strength = dn * made.maps.gain / own.template_e
    axis = 3 if abs(own.slow_axis) == 2 else 2  # along a line
    assert np.abs(strength - strength.mean(axis, keepdims=True)).max() < 1e-4 * np.abs(strength).max()
    reads = covariance.of_reads(*made.given(), ON)
    for i, j in ((0, 0), (0, 1), (0, 2)):
        face = np.asarray(reads(np.int64(i), np.int64(j)))
        product = dn[:, i] * dn[:, j]
        pull = (product.mean(0) - face) / (product.std(0) / np.sqrt(seeds))
        assert np.abs(pull).max() < 4.5


def test_the_spectrum_is_pink_from_line_to_line_and_across_resets(bench):
    made = bench("nirspec_prism", (64, 8), ngroups=4, settings=KNOBS)
    own, o = made.own["picture_frame"], made.observation
    series, memory = [], None
    for first in range(0, 1200, 100):
        dn, memory = made.drawn(jax.random.key(5), 100, ON, memory, first)
        series.append(np.asarray(dn, float)[:, 0])  # first frame of each integration
    quiet = np.asarray(made.mean(1, ())[0, 0], float)
    strength = ((np.concatenate(series) - quiet) * made.maps.gain / own.template_e).mean(1)  # (integration, column)
    strength = strength[:, :: np.sign(own.slow_axis)]
    # differences over a line, over half a frame and over an integration against sum_k 2 v_k (1 - exp(-r_k t))
    line_s = (8 // 1 + o.subarray.row_overhead_clocks) * CLOCK_S
    rate, variance = own.rate_per_s, own.deviation**2

    def expected(span_s):
        return (2 * variance * -np.expm1(-rate * span_s)).sum()

    for lag in (1, 32):
        found = np.mean((strength[:, lag:] - strength[:, :-lag]) ** 2)
        assert found == pytest.approx(expected(lag * line_s), rel=0.1)
    apart = np.mean((strength[1:] - strength[:-1]) ** 2)
    assert apart == pytest.approx(expected(made.params.cadence_s), rel=0.15)


def test_negative_amplitudes_are_refused():
    with pytest.raises(ValueError, match="amplitude must not be negative"):
        picture_frame.PictureFrameSettings(-1.0)
