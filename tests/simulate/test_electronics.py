"""What the read-out adds: each effect against its table, its formula, and the others."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.simulate.detector import emi, inl, response_drift, telegraph
from uptheramp.simulate.ramps import chain
from uptheramp.simulate.state import Illumination

KEY = jax.random.key(11)
SENSORS = {  # a mode of each kind of detector and read-out: one output, stripes, interleaved
    "niriss_soss": (16, 8),
    "nircam_f322w2": (32, 8),
    "miri_lrs": (16, 8),
}


def alone(made, name, count=2, base=("superbias",)):
    """Mean frames with an effect less those without it, DN (integration, frame, y, x)."""
    with_it, without = (made.mean(count, on) for on in ((*base, name), base))
    return np.asarray(with_it, float) - np.asarray(without, float)


def test_reset_anomaly_fades_and_differs_in_the_first_integration(bench):
    made = bench("miri_lrs", (16, 8), ngroups=16)
    table, left = made.observation.detector.reset_anomaly, alone(made, "reset_anomaly", 3, ())
    lit = made.maps.light > 0
    assert not left[:, :, ~lit].any()
    assert left[:, 0][:, lit].mean(1) == pytest.approx([table.first_dn, *[table.later_dn] * 2], rel=0.1)
    assert (left[1] == left[2]).all()
    assert left[1, 1:][:, lit] / left[1, :-1][:, lit] == pytest.approx(np.exp(-1 / table.decay_reads), rel=1e-5)
    assert abs(left[:, 15]).max() < 0.05 * abs(table.first_dn)


@pytest.mark.parametrize("before", [0.0, 9e4])
def test_rscd_is_the_residue_of_the_integration_before(bench, before):
    made = bench("miri_lrs", (16, 8), rate_e_per_s=before)
    table, o = made.observation.detector.rscd, made.observation
    residue = alone(made, "rscd", 2, ("reference_pixels",))
    signal = 4 * before * o.subarray.frame_time_s / made.maps.gain
    scale = np.array(table.scale)[(o.subarray.start[1] - 1 + np.arange(8)) % 2][:, None]
    size = signal * scale * signal**table.power * (1 - np.exp(-signal / table.turnover_dn)) * made.maps.light
    expected = np.exp(-(np.arange(4) + 2)[:, None, None] / table.decay_reads) * size
    assert not residue[0].any()  # nothing came before
    assert residue[1] == pytest.approx(expected, rel=1e-3, abs=2e-3)
    assert (expected.max() > 1) == (before > 0)


def test_the_last_read_is_pulled_down_by_rows(bench):
    made = bench("miri_lrs", (16, 8))
    o, left = made.observation, alone(made, "last_frame", 2, ())
    assert not left[:, :-1].any()
    even = (o.subarray.start[1] - 1 + np.arange(8)) % 2 == 0
    assert np.unique(left[:, -1, even]) == pytest.approx([o.detector.last_frame.offset_dn[0]])
    assert np.unique(left[:, -1, ~even]) == pytest.approx([o.detector.last_frame.offset_dn[1]])


def test_emi_is_one_waveform_in_absolute_time(bench):
    # times and waveform of the physics sheet (sections 2 and 9: Eureka), five hours after the start
    made = bench("miri_lrs", (72, 12), ngroups=5, settings={"emi": emi.EmiSettings(delay_s=1e-3)})
    tgroup, clock = made.observation.subarray.frame_time_s, 1e-5
    memory = made.start(KEY, ("emi",))
    first = 20_000
    dn = np.asarray(made.drawn(KEY, 3, ("emi",), memory, first)[0], float)
    integration, group, row, column = np.ogrid[first : first + 3, :5, :12, :72]
    t = group * tgroup + integration * tgroup * 6 + row * ((72 // 4 - 1) + 11) * clock + column // 4 * clock
    t = t + clock + 1e-3  # a pixel is read at the end of its clock

    def sine(amplitude, turns):
        return amplitude * np.sin(2 * np.pi * turns)

    f = 390.625
    wave = sine(3.7257, f * t + 0.46984) + sine(0.7475, 2 * f * t + 0.42408) + sine(0.2230, 4 * f * t + 0.24883)
    assert dn == pytest.approx(wave + sine(1.5, 10.039216 * t), abs=2e-3)


def test_folded_emi_is_coherent_through_noise(bench):
    made = bench("miri_lrs", (72, 24), ngroups=5)
    on, memory = ("read_noise", "emi"), {}
    early, late = (np.asarray(made.drawn(KEY, 8, on, memory, first)[0], float) for first in (0, 9000))
    tones, offset = made.own["emi"], (np.arange(24)[:, None] * 28 + np.arange(72) // 4 + 1) * 1e-5

    def folded(dn, first):
        start = (first + np.arange(8))[:, None] * made.params.cadence_s + np.arange(5) * made.params.frame_time_s
        phase = (start[:, :, None, None] + offset) * tones.frequency_hz[0] % 1
        number = (phase * 16).astype(int).ravel()
        return np.bincount(number, dn.ravel(), 16) / np.bincount(number, minlength=16)

    a, b = folded(early, 0), folded(late, 9000)
    noise = made.maps.read_noise_e.mean() / made.maps.gain.mean() / np.sqrt(early.size / 16)
    # the 10 Hz tone averages to less than its amplitude over the periods that are seen
    assert np.abs(a - b).max() < 5 * np.sqrt(2) * noise + 0.2
    assert np.ptp(a) > 6


def test_response_drift_is_the_charge_of_the_closed_form(bench):
    knobs = {"response_drift": response_drift.ResponseDriftSettings(amplitude=0.5, elapsed_s=40.0)}
    made = bench("miri_lrs", (8, 4), ngroups=40, settings=knobs, effects=("response_drift",))
    rate = np.float32(3000.0) * np.ones((40, 4, 8), np.float32) * made.maps.gain
    light = Illumination(jnp.asarray(rate), jnp.asarray(5))
    effect, given = chain.EFFECTS["response_drift"], made.params.of(made.own["response_drift"])
    lost = np.asarray(effect.mean(light, made.maps, given).rate - rate, float).sum(0) * made.params.frame_time_s
    s = 3000.0
    tau = 2592.96 * np.exp(-8.574e-4 * s) + 120.6
    amplitude = 0.5 * (2.945e-6 * s**2 - 0.03279 * s - 4.707)
    t0 = 40.0 + 5 * made.params.cadence_s
    t1 = t0 + 40 * made.params.frame_time_s
    closed = amplitude * tau * (np.exp(-t0 / tau) - np.exp(-t1 / tau)) * made.maps.gain
    assert lost == pytest.approx(closed, rel=1e-3)
    dark = effect.mean(replace(light, rate=jnp.zeros_like(light.rate)), made.maps, given)
    assert not np.asarray(dark.rate).any()


def test_inl_is_a_sinusoid_of_the_number(bench):
    made = bench("niriss_soss", (16, 8), ngroups=30, rate_e_per_s=60.0, settings={"inl": inl.InlSettings(2.0)})
    level = np.asarray(made.mean(1, ("superbias",)), float)
    assert np.ptp(level[:, :, 0, 8]) > 3000
    assert alone(made, "inl", 1) == pytest.approx(4.0 * np.sin(2 * np.pi * level / 1024.0), abs=5e-3)


def test_telegraph_levels_are_two_and_outlive_the_reset(bench):
    made = bench("niriss_soss", (16, 8), ngroups=2, settings={"telegraph": telegraph.TelegraphSettings(1000.0)})
    own, on, seeds = made.own["telegraph"], ("telegraph",), 500
    keys = jax.random.split(KEY, seeds)
    dn = np.asarray(jax.vmap(lambda key: made.drawn(key, 2, on)[0])(keys), float)[..., own.y, own.x]
    level = dn * made.maps.gain[own.y, own.x] / own.amplitude_e + own.upper
    assert np.abs(level * (1 - level)).max() < 1e-4
    upper = level.mean(0)
    expected = own.upper * (1 - own.upper)
    assert np.abs((upper - own.upper) / np.sqrt(expected / seeds)).max() < 5
    # last read before the reset against the first one after it; and two reads of one integration
    for a, b, frames in (((0, 1), (1, 0), 2), ((0, 0), (0, 1), 1)):
        product = (level[:, *a] - own.upper) * (level[:, *b] - own.upper)
        fading = np.exp(-own.rate_per_s * frames * made.observation.subarray.frame_time_s)
        miss = product.mean(0) - expected * fading
        assert abs(miss.sum()) < 4.5 * np.sqrt((product.var(0) / seeds).sum())


@pytest.mark.parametrize("mode", SENSORS)
def test_reference_pixels_share_the_electronics_and_see_no_light(bench, mode):
    made = bench(mode, SENSORS[mode], rate_e_per_s=200.0)
    dark = made.maps.light == 0
    assert 0 < dark.sum() < dark.size
    names = [name for name in ("read_noise", "one_over_f", "ktc", "emi", "inl", "last_frame")
             if chain.EFFECTS[name].exists(made.observation.detector)]  # fmt: skip
    base = ("reference_pixels", "superbias")
    quiet = np.asarray(made.drawn(KEY, 1, base)[0])
    assert np.abs(np.diff(quiet[0], axis=0)[:, dark]).max() == 0
    assert np.abs(np.diff(quiet[0], axis=0)[:, ~dark]).min() > 0
    for name in names:
        noisy = np.asarray(made.drawn(KEY, 1, (*base, name))[0]) - quiet
        ratio = noisy[..., dark].std() / noisy[..., ~dark].std()
        # read noise has its own ratio; INL depends on the level, 1/f on a few lines: all are of one size
        assert 0.5 < ratio < 2, name


@pytest.mark.parametrize("mode", ["nircam_f322w2", "miri_lrs"])
def test_state_runs_on_when_the_exposure_is_cut(bench, mode):
    effects = ("poisson", "rscd", "read_noise", "telegraph", "one_over_f")
    made = bench(mode, SENSORS[mode], rate_e_per_s=3000.0, effects=effects)
    memory = made.start(KEY, made.observation.effects)
    parts = []
    whole, end = made.drawn(KEY, 4, None, memory)
    for first in (0, 2):
        dn, memory = made.drawn(KEY, 2, None, memory, first)
        parts.append(dn)
    assert (np.concatenate(parts) == np.asarray(whole)).all()
    assert len(memory) >= 2
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), memory, end)))


def test_switching_effects_off_leaves_every_other_draw(bench):
    # additive effects alone, without the bias, whose rounding would hide the last bits
    additive = ("last_frame", "reset_anomaly", "ktc", "read_noise", "telegraph", "one_over_f", "emi")
    many = telegraph.TelegraphSettings(100.0)
    made = bench("miri_lrs", SENSORS["miri_lrs"], effects=additive, settings={"telegraph": many})
    everything, memory = (jax.tree.map(np.asarray, tree) for tree in made.drawn(KEY, 2))
    total = 0.0
    for name in made.observation.effects:
        dn, own = made.drawn(KEY, 2, (name,))
        assert np.asarray(dn).any()
        total = total + np.asarray(dn, float)
        assert all((np.asarray(own[other]) == memory[other]).all() for other in own)
    assert everything == pytest.approx(total, abs=1e-3)


PLACES = {
    "anomaly": lambda own: own["reset_anomaly"].amplitude_dn,
    "anomaly's decay": lambda own: own["reset_anomaly"].decay_reads,
    "residue": lambda own: own["rscd"].scale,
    "residue's power": lambda own: own["rscd"].power,
    "residue's turnover": lambda own: own["rscd"].turnover_dn,
    "residue's decay": lambda own: own["rscd"].decay_reads,
    "last read": lambda own: own["last_frame"],
    "tones": lambda own: own["emi"].amplitude_dn,
    "phases": lambda own: own["emi"].phase_turns,
    "drift": lambda own: own["response_drift"].amplitude,
    "drift's decay": lambda own: own["response_drift"].decay,
    "converter": lambda own: own["inl"].amplitude_dn,
    "converter's period": lambda own: own["inl"].period_dn,
}


@pytest.fixture(scope="module")
def gradient(bench):
    """Two mean integrations of MIRI, with a converter like NIRISS', against fixed weights; and the gradient."""
    made = bench("miri_lrs", (16, 8), rate_e_per_s=9e4)
    wide = jax.tree.map(lambda x: jnp.asarray(x, float), (made.maps, made.own))
    niriss = bench("niriss_soss", (16, 8)).own["inl"]
    refs, own = wide[0], {**wide[1], "inl": jax.tree.map(lambda x: jnp.asarray(x, float), niriss)}
    on = ("response_drift", "reference_pixels", "nonlinearity", "rscd", "superbias", "reset_anomaly", "last_frame")
    on = (*on, "emi", "inl")
    weight = np.random.default_rng(3).standard_normal((2, 4, 8, 16))

    def total(own):
        memory, out = chain.start(KEY, own, chain.remembering(on)), 0.0
        for number in range(2):
            pointing, shine, _, params, _ = made.given(number, memory)
            frames = chain.mean(pointing, shine, refs, params, own, on)
            memory, out = frames.memory, out + (weight[number] * frames.dn).sum()
        return out

    return jax.jit(total), own, jax.jit(jax.grad(total, allow_int=True))(own)


@pytest.mark.parametrize("name", PLACES)
def test_gradients_are_finite_differences(gradient, name):
    total, own, slope = gradient
    place, step = PLACES[name], 1e-5
    value = np.asarray(place(own), float)
    direction = np.random.default_rng(1).standard_normal(value.shape) * (np.abs(value) + 0.1)
    up, down = (float(total(eqx.tree_at(place, own, value + sign * step * direction))) for sign in (1, -1))
    assert up != down
    assert float((np.asarray(place(slope)) * direction).sum()) == pytest.approx((up - down) / 2 / step, rel=2e-5)


def test_gradients_are_finite_without_light(gradient):
    _, _, slope = gradient
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(slope) if leaf.dtype != jax.dtypes.float0]
    assert len(leaves) > 15
    assert all(np.isfinite(leaf).all() for leaf in leaves)


@pytest.mark.parametrize("name", ["telegraph", "one_over_f", "inl", "emi", "response_drift"])
def test_negative_amplitudes_are_refused(name):
    with pytest.raises(ValueError, match="amplitude must not be negative|amplitude and|and amplitude"):
        chain.EFFECTS[name].settings(amplitude=-1.0)
