"""Mean, draw and covariance of one model agree: over many draws, and with the formulas of the literature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.simulate.detector import one_over_f, telegraph
from uptheramp.simulate.ramps import covariance, multiaccum

SEEDS = 1500


def predicted(bench, lags):
    """Covariance of group differences 0 ... lags - 1 apart, as the faces say."""
    o = bench.observation
    reads = covariance.of_reads(*bench.given(), o.effects)
    return [np.asarray(covariance.group_differences(reads, o.readout, lag)) for lag in range(lags)]


def group_differences(bench):
    """Group differences (seed, difference, y, x) of many first integrations, DN."""
    readout = bench.observation.readout

    def one(key):
        return multiaccum.averaged(bench.drawn(key)[0][0], readout).astype(jnp.float32)

    groups = jax.lax.map(one, jax.random.split(jax.random.key(7), SEEDS), batch_size=100)
    return np.diff(np.asarray(groups, float), axis=1)


def sample(d, lag):
    """Covariance over seeds of differences `lag` apart, and its standard error."""
    d = d - d.mean(0)
    product = d[:, : d.shape[1] - lag] * d[:, lag:]
    return product.mean(0), product.std(0) / np.sqrt(len(d))


MODES = {  # with light that reaches a third of the well
    "nircam_f322w2": {"size": (16, 4), "pattern": "SHALLOW4", "ngroups": 3, "rate_e_per_s": 7e3},
    "miri_lrs": {"size": (16, 4), "ngroups": 4, "rate_e_per_s": 9e4},
}
ALL = ["poisson", "nonlinearity", "ktc", "read_noise", "telegraph", "one_over_f", "adc"]
CASES = [  # mode, random effects, factor on the amplitude of the one that is looked at, beside read noise
    ("nircam_f322w2", ALL, 1.0),
    ("miri_lrs", ALL, 1.0),
    ("nircam_f322w2", ["read_noise", "one_over_f", "adc"], 5.0),
    ("nircam_f322w2", ["read_noise", "telegraph", "adc"], 2.0),
]


@pytest.mark.parametrize(("mode", "noises", "amplitude"), CASES, ids=["all", "all, MIRI", "1/f", "telegraph"])
def test_draws_scatter_as_the_covariance_says(bench, mode, noises, amplitude):
    settings = {
        "one_over_f": one_over_f.OneOverFSettings(amplitude),
        "telegraph": telegraph.TelegraphSettings(fraction=300.0, amplitude=amplitude),
    }
    effects = ("reference_pixels", "superbias", *noises)
    made = bench(mode, **MODES[mode], effects=effects, settings=settings)
    d = group_differences(made)
    faces = predicted(made, d.shape[1])
    for lag, face in enumerate(faces):
        found, error = sample(d, lag)
        pull = (found - face) / error
        # of 128 numbers at most one in 1000 runs lies beyond 4.5 sigma; 1/f is common to pixels of a line, so that
        # its mean pull is that of a few independent ones only
        assert np.abs(pull).max() < 4.5
        assert abs(pull.mean()) < 4.5 / np.sqrt(pull.size if "one_over_f" not in noises else 4)
    mean = np.diff(np.asarray(multiaccum.mean(made.mean()[0], made.observation.readout), float), axis=0)
    assert np.abs((d.mean(0) - mean) / np.sqrt(faces[0] / SEEDS)).max() < 4.5


def brandt(readout, frame_s, rate, sigma):
    """Alpha and beta of scaled differences for one pixel (Brandt 2024), written out from the times of the reads."""
    n = readout.nframes
    times = (np.arange(readout.ngroups)[:, None] * readout.frames_per_group + np.arange(1, n + 1)) * frame_s
    mean = times.mean(1)
    tau = ((2 * n + 1 - 2 * np.arange(1, n + 1)) * times).sum(1) / n**2
    step = np.diff(mean)
    alpha = sigma**2 * 2 / n / step**2 + rate * (tau[:-1] + tau[1:] - 2 * mean[:-1]) / step**2
    beta = -(sigma**2) / n / step[:-1] / step[1:] + rate * (mean[1:-1] - tau[1:-1]) / step[:-1] / step[1:]
    return alpha, beta, step


@pytest.mark.parametrize("mode", ["nircam_f322w2", "nirspec_prism"])
def test_poisson_and_read_noise_give_the_weights_of_brandt(bench, mode):
    layout = MODES.get(mode, {"size": (8, 4), "ngroups": 5, "rate_e_per_s": 7e3})
    made = bench(mode, **(layout | {"ngroups": 5, "effects": ("poisson", "read_noise")}))
    readout, gain = made.observation.readout, made.maps.gain
    cut = multiaccum.truncation_variance(readout)
    found = predicted(made, 3)
    alpha, beta, step = brandt(readout, made.observation.subarray.frame_time_s, 7e3, made.maps.read_noise_e[..., None])
    alpha, beta = np.moveaxis(alpha, -1, 0), np.moveaxis(beta, -1, 0)
    step = step[:, None, None]
    assert (found[0] - 2 * cut) * gain**2 / step**2 == pytest.approx(alpha, rel=1e-5)
    assert (found[1] + cut) * gain**2 / step[1:] ** 2 == pytest.approx(beta, rel=1e-4, abs=1e-5 * alpha.max())
    assert found[2] == pytest.approx(0, abs=1e-5 * found[0].max())


def test_a_reset_level_is_in_every_read_and_in_no_difference(bench):
    made = bench("nirspec_prism", (8, 4), effects=("ktc",))
    reads = covariance.of_reads(*made.given(), ("ktc",))
    assert np.asarray(reads(0, 3)) == pytest.approx((made.maps.ktc_e / made.maps.gain) ** 2, rel=1e-5)
    assert predicted(made, 1)[0] == pytest.approx(0, abs=1e-3)
