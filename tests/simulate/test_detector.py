from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate.instruments import lookup
from uptheramp.simulate.detector import maps, nonlinearity, one_over_f
from uptheramp.simulate.detector.poisson import poisson
from uptheramp.simulate.state import Illumination


@pytest.mark.parametrize("mean", [0.05, 0.8, 3.9, 4.1, 30.0, 1e3, 1e5])
def test_poisson_moments(mean):
    n = 400_000
    x = np.asarray(poisson(jax.random.key(3), jnp.full(n, mean, jnp.float32)), float)
    assert (x == np.floor(x)).all()
    assert x.min() >= 0
    assert abs(x.mean() - mean) < 5 * np.sqrt(mean / n)
    assert abs(x.var() / mean - 1) < 5 * np.sqrt((2 + 1 / mean) / n)
    skew = ((x - mean) ** 3).mean() / mean**1.5
    spread = np.sqrt((15 + 30 / mean + 25 / mean**1.5) / n)
    assert abs(skew - mean**-0.5) < 6 * spread


def test_no_light_gives_no_electrons():
    assert np.asarray(poisson(jax.random.key(0), jnp.zeros(10_000, jnp.float32))).max() == 0


@pytest.mark.parametrize("name", ["NIRSPEC", "NIRCAM", "MIRI"])
def test_charge_physics_has_the_deficits_of_the_table(name):
    detector = lookup.instrument(name).detectors[0]
    table, well = detector.nonlinearity, detector.full_well_e
    law = nonlinearity.physics(table, well)
    fill = np.array([0.5, 0.8])
    deficit = 1 - np.asarray(law(fill * well, 1.0), float) / (fill * well)
    assert deficit == pytest.approx([table.deficit_at_half_well, table.deficit_at_80_percent], rel=0.05)
    charge = np.linspace(0, well, 300)
    assert (np.diff(np.asarray(law(charge, 1.0))) > 0).all()
    assert np.asarray(law(charge[1:], 0.0)) == pytest.approx(charge[1:], rel=1e-3)


@pytest.mark.parametrize(("slope", "ripple"), [(1.0, 0.04), (0.8, 0.08), (1.3, 0.08)])
def test_pole_model_has_its_slope_over_seven_decades(slope, ripple):
    rate, variance = one_over_f.poles(slope)
    f = np.geomspace(1e-3, 1e4, 200)[:, None]
    dt = one_over_f.CLOCK_S
    a = np.exp(-rate * dt)
    spectrum = 2 * dt * variance * -np.expm1(-2 * rate * dt)
    spectrum = spectrum / (np.expm1(-rate * dt) ** 2 + 4 * a * np.sin(np.pi * f * dt) ** 2)
    law = (one_over_f.PIVOT_HZ / f[:, 0]) ** (slope - 1)
    assert spectrum.sum(1) * f[:, 0] / law == pytest.approx(np.ones(200), abs=ripple)


@pytest.fixture(scope="module")
def stream(small):
    """One pink stream through 400 frames, as (frame, line, kept), with its layout and the reset gaps every 8 frames."""
    observation = small()
    clocks = (observation.subarray.row_overhead_clocks, round(observation.subarray.frame_time_s * 1e5), 0)
    plan = one_over_f.layout(observation.detector, observation.readout, observation.shape, clocks)
    params = one_over_f.pink(observation.detector, observation.readout, plan)

    @jax.jit
    def run(state, frames):
        def frame(state, number):
            key = jax.random.fold_in(jax.random.key(8), number)
            state, samples = one_over_f.frame_of(key, state, params)
            return one_over_f.wait(jax.random.fold_in(key, 1), state[None], params, 2)[0], samples

        return jax.lax.scan(frame, state, frames)

    start = one_over_f.initial(jax.random.key(9), params)[0]
    return plan, run, start


def test_one_over_f_spectrum_is_pink_across_lines_and_frames(stream):
    plan, run, start = stream
    _, samples = run(start, jnp.arange(400))
    # line means, evenly spaced within a frame; frame means, evenly spaced through the exposure
    lines = np.asarray(samples, float).mean(2)
    line_s = (plan.kept + plan.overhead) * 1e-5
    power = (np.abs(np.fft.rfft(lines * np.hanning(plan.lines), axis=1)) ** 2).mean(0)
    density = 2 * power * line_s / (np.hanning(plan.lines) ** 2).sum()
    f = np.fft.rfftfreq(plan.lines, line_s)
    low = slice(4, 40)
    assert (density * f)[low].mean() == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("reads", [1, 2])
def test_one_over_f_lines_have_the_covariance_of_the_poles(stream, reads):
    plan, run, start = stream
    _, samples = run(start, jnp.arange(400))
    lines = np.asarray(samples, float).mean(2).reshape(-1, reads, plan.lines).mean(1)
    readout = SimpleNamespace(ngroups=1, nframes=reads, frames_per_group=reads)
    expected = one_over_f.level_covariance(plan, readout)[0, plan.lines - 1 :, 0]
    # of differences within a frame: levels slower than the run are the same in all frames
    for lag in (1, 4, 16):
        squares = ((lines[:, lag:] - lines[:, :-lag]) ** 2).mean(1)
        assert abs(squares.mean() - 2 * (expected[0] - expected[lag])) < 5 * squares.std() / len(squares) ** 0.5


def test_one_over_f_has_no_seam_between_frames(stream):
    plan, run, start = stream
    _, samples = run(start, jnp.arange(400))
    first, last = np.asarray(samples)[1:, 0].mean(1), np.asarray(samples)[:-1, -1].mean(1)
    inside = np.diff(np.asarray(samples).mean(2), axis=1)
    # the step over a frame's end spans the tail; a restart would scatter by the full stationary rms, about 4
    assert (first - last).std() < 1.6 * inside.std()


def test_one_over_f_runs_the_same_in_two_calls(stream):
    _, run, start = stream
    end, whole = run(start, jnp.arange(6))
    middle, one = run(start, jnp.arange(3))
    end2, two = run(middle, jnp.arange(3, 6))
    assert (np.asarray(whole) == np.concatenate([one, two])).all()
    assert (np.asarray(end) == np.asarray(end2)).all()


def test_the_sensor_depends_on_its_own_seed_only(small):
    observation = small()

    def drawn(seed):
        return maps.draw(observation.detector, observation.shape, observation.readout, False, seed)

    one, same, other = drawn(1), drawn(1), drawn(2)
    assert (one.flat == same.flat).all()
    assert (one.flat != other.flat).mean() > 0.9
    assert (one.flat[one.dead] == 0).all()


def test_reference_pixels_see_nothing():
    instrument, mode = lookup.find_mode("nircam_f322w2")
    window = lookup.window(instrument, mode)
    detector = lookup.detector(instrument, mode.detector)
    from uptheramp.calibrate.instruments.core import readout_of

    readout = readout_of(window, lookup.pattern(instrument, "RAPID"), detector, 2)
    m = maps.draw(detector, window.size[::-1], readout, False, 0)
    left, right = readout.reference_columns
    bottom, _ = readout.reference_rows
    assert (left, right, bottom) == (4, 4, 4)
    assert m.light[:, :4].max() == m.light[:4].max() == m.light[:, -4:].max() == 0
    assert m.light[4:, 4:-4].min() == 1
    assert m.dark_e_per_s[m.light == 0].max() == 0
    ratio = np.median(m.read_noise_e[m.light == 0]) / np.median(m.read_noise_e[m.light == 1])
    assert ratio == pytest.approx(detector.reference_noise_ratio, abs=0.02)
    assert len(np.unique(m.gain)) == 4


def test_glow_comes_with_reads_and_falls_from_the_line_that_is_read_first(chip):
    window = chip("niriss_soss", "glow", glow={"e_per_read": 2.0, "scale_lines": 5.0})
    dark = Illumination(jnp.zeros((3, 32, 48)), jnp.asarray(0))
    electrons = np.asarray(window.mean("glow", dark).rate) * float(window.params.frame_time_s)
    # NIRISS reads lines along y from the last column on
    expected = 2 * np.exp(-np.arange(48)[::-1] / 5)
    assert electrons == pytest.approx(np.broadcast_to(expected, (3, 32, 48)), rel=1e-6)
