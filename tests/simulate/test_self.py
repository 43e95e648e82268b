"""What any simulator of ramps must pass (physics sheet, section 12), for each kind of detector and read-out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.simulate.calibration import linearity, programme
from uptheramp.simulate.ramps import multiaccum

KEY = jax.random.key(21)
KINDS = {  # one output, stripes averaged on board, interleaved, interleaved and averaged
    "SOSS": ("niriss_soss", None),
    "BOTS": ("nirspec_prism", None),
    "grism": ("nircam_f322w2", "SHALLOW4"),
    "LRS": ("miri_lrs", None),
    "imager": ("miri_image_f770w", "FASTGRPAVG"),
}
each_kind = pytest.mark.parametrize(("mode", "pattern"), KINDS.values(), ids=KINDS)


def groups_of(made, on, seeds):
    """Groups (seed, group, y, x) as sent to the ground, of first integrations."""
    keys = jax.random.split(KEY, seeds)
    readout = made.observation.readout
    return np.asarray(jax.lax.map(lambda key: multiaccum.averaged(made.drawn(key, 1, on)[0][0], readout), keys))


@each_kind
def test_photon_transfer_gives_the_gain_and_increments_are_independent(bench, mode, pattern):
    made = bench(mode, (64, 32), pattern=pattern, ngroups=3, rate_e_per_s=400.0)
    frames = np.asarray(made.drawn(KEY, 6, ("poisson",))[0], float) * made.maps.gain  # electrons
    steps = np.diff(frames, axis=1)
    electrons = 400.0 * made.observation.subarray.frame_time_s
    # var / mean of Poisson numbers is 1; a variance from n numbers is known to sqrt((2 + 1 / mean) / n)
    n = steps.size
    assert steps.mean() == pytest.approx(electrons, abs=4.5 * np.sqrt(electrons / n))
    assert steps.var() / electrons == pytest.approx(1, abs=4.5 * np.sqrt((2 + 1 / electrons) / n))
    one, next_one = steps[:, :-1] - electrons, steps[:, 1:] - electrons
    assert (one * next_one).mean() / electrons == pytest.approx(0, abs=4.5 / np.sqrt(one.size))
    total = frames[:, -1]
    mean = electrons * frames.shape[1]
    assert total.var() / mean == pytest.approx(1, abs=4.5 * np.sqrt((2 + 1 / mean) / total.size))


@each_kind
def test_pairs_and_slopes_scatter_by_the_read_noise(bench, mode, pattern):
    made = bench(mode, (16, 8), pattern=pattern, ngroups=6)
    groups = groups_of(made, ("superbias", "read_noise", "adc"), 150).astype(float)
    readout, n = made.observation.readout, 6
    single = made.maps.read_noise_e / made.maps.gain
    # rounding adds 1/12 DN^2 to each frame, cutting the average its own
    group = (single**2 + 1 / 12) / readout.nframes + multiaccum.truncation_variance(readout)
    pair = groups[:, 1] - groups[:, 0]
    assert (pair**2 / group).mean() == pytest.approx(2, abs=4.5 * 2 * np.sqrt(2 / pair.size))
    slope = np.einsum("g,sgyx->syx", np.arange(n) - (n - 1) / 2, groups) / (n * (n**2 - 1) / 12)
    formula = 12 * (n - 1) / (n * (n + 1)) / (n - 1) ** 2  # a group apart; over sigma^2, with t_int = n - 1
    assert (slope**2 / group).mean() == pytest.approx(formula, abs=4.5 * formula * np.sqrt(2 / slope.size))


@each_kind
def test_a_dark_exposure_has_the_dark_slope(bench, mode, pattern):
    made = bench(mode, (32, 32), pattern=pattern, ngroups=3)
    dark_e = made.maps.dark_e_per_s * made.observation.subarray.frame_time_s
    mean = np.asarray(made.mean(1, ("dark", "reference_pixels"))[0], float) * made.maps.gain
    assert np.diff(mean, axis=0) == pytest.approx(np.broadcast_to(dark_e, mean[1:].shape), rel=1e-4, abs=1e-5)
    on = ("dark", "reference_pixels", "poisson", "superbias", "ktc", "read_noise", "adc")
    frames = np.asarray(made.drawn(KEY, 40, on)[0], float)
    rise = (frames[:, -1] - frames[:, 0]).mean(0) * made.maps.gain
    expected = dark_e * (frames.shape[1] - 1)
    error = np.sqrt((expected + 2 * made.maps.read_noise_e**2 + made.maps.gain**2 / 6) / 40)
    pull = (rise - expected) / error
    assert np.abs(pull).max() < 5
    assert abs(pull.mean()) < 4.5 / np.sqrt(pull.size)


@pytest.mark.parametrize(("mode", "pattern"), [KINDS[k] for k in ("BOTS", "grism", "LRS")])
def test_saturated_pixels_are_counted_and_numbers_never_wrap(bench, mode, pattern):
    made = bench(mode, (32, 16), pattern=pattern, ngroups=4)
    o, m = made.observation, made.maps
    reads, frame_s = o.reads_per_integration, o.subarray.frame_time_s
    made.rate[:] = m.well_e / (reads * frame_s) * np.geomspace(0.3, 300.0, 32)
    on = ("flat", "reference_pixels", "poisson", "saturation", "nonlinearity", "superbias", "ktc", "read_noise", "adc")
    groups = groups_of(made, on, 2)
    whole = np.asarray(multiaccum.group_sums(made.drawn(jax.random.split(KEY, 2)[0], 1, on)[0][0], o.readout))
    assert (groups[0] == whole // o.readout.frame_divisor).all()  # as whole numbers: nothing wrapped
    full = np.floor(np.minimum(m.charge_physics(m.well_e, m.deficit_scale) / m.gain + m.bias_dn, 65535.0))
    slack = 6 * np.hypot(m.ktc_e, m.read_noise_e) / m.gain + 2
    assert (groups <= full + slack).all()
    charge = made.rate[0] * m.flat * m.light * frame_s
    first, last = charge * o.readout.nframes, charge * reads  # at the end of the first and of the last group
    sure, never = 6 * np.sqrt(m.well_e), m.light > 0
    flat_ramp = np.abs(groups[0, -1].astype(float) - full) < slack
    assert flat_ramp[(last - sure > 1.5 * m.well_e)].all()
    assert not flat_ramp[never & (last + sure < 0.8 * m.well_e) & (full < 65535)].any()
    assert ((first > m.well_e) & never).sum() > 10


@each_kind
def test_the_charge_physics_is_undone_by_its_inverse_and_by_the_fitted_polynomial(bench, mode, pattern):
    made = bench(mode, (16, 8), pattern=pattern)
    m, lit = made.maps, made.maps.light > 0
    law, scale = m.charge_physics, m.deficit_scale
    charge = np.linspace(0.01, 0.95, 50)[:, None, None] * m.well_e * np.ones_like(scale)
    signal = np.asarray(law(jnp.asarray(charge, jnp.float32), scale), float)
    wide = jax.tree.map(lambda x: jnp.asarray(x, float), law)
    guess = jnp.asarray(signal)
    for _ in range(30):  # Newton, in float64
        value, slope = jax.jvp(lambda q: wide(q, jnp.asarray(scale, float)), (guess,), (jnp.ones_like(guess),))
        guess = guess - (value - signal) / slope
    assert np.abs(np.asarray(guess) - charge).max() / m.gain.min() < 0.1  # DN
    # the polynomial of the reference, fitted to flat ramps: its own slope below 80 % of the well, where it says 5e-5
    time = np.arange(1, programme.FLAT_READS + 1) / programme.FLAT_READS
    ramp = np.where(lit, np.asarray(law(time[:, None, None] * m.well_e, np.asarray(scale, float)), float), np.nan)
    fitted = linearity.fit(programme.FlatRamp(time, ramp), float(m.well_e))
    fill = signal / m.well_e
    linear = fill + sum(c * fill**n for n, c in enumerate(fitted, start=2))
    below = charge[:, 0, 0] < 0.8 * m.well_e
    rate = (np.diff(linear, axis=0) / np.diff(charge / m.well_e, axis=0))[below[1:]][:, lit]
    assert rate / rate.mean(0) == pytest.approx(np.ones_like(rate), abs=1e-4)
