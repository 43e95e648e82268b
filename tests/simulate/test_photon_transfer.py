"""Physics sheet, section 12, items 1 and 4, for a detector of every instrument."""

import jax
import numpy as np
import pytest

from uptheramp.simulate.detector import ipc

MODES = ["niriss_soss", "nircam_f322w2", "nirspec_prism", "miri_lrs"]
RATE_E_PER_FRAME = 900.0


def ramps(bench, mode, *effects):
    """Draws (seed, frame, y, x) of flat ramps in DN, reference columns left out, with their bench."""
    o = bench(mode, (48, 32), effects=effects).observation
    rate = RATE_E_PER_FRAME / o.subarray.frame_time_s
    made = bench(mode, (48, 32), effects=effects, rate_e_per_s=rate, ngroups=3)
    dn = np.asarray(made.drawn(jax.random.key(11), 200)[0], float)
    return made, dn[..., 4:-4, 4:-4]


@pytest.mark.parametrize("mode", MODES)
def test_photon_transfer_returns_the_gain_lowered_by_coupling(bench, mode):
    made, dn = ramps(bench, mode, "poisson", "ipc", "superbias", "ktc", "read_noise")
    step = np.diff(dn, axis=1)
    gain = np.asarray(made.maps.gain, float)[4:-4, 4:-4]
    read = np.asarray(made.maps.read_noise_e, float)[4:-4, 4:-4] / gain
    kernel = np.asarray(ipc.kernel(made.own["ipc"].alpha), float)
    mean, variance = step.mean((0, 1)), step.var(0, ddof=1).mean(0) - 2 * read**2
    found = (variance * gain / mean).mean()
    # the variance of n normal values has a relative error of sqrt(2 / n); the read noise adds its part
    wide = 1 + (2 * read**2 * gain / mean).mean()
    assert found == pytest.approx((kernel**2).sum(), abs=5 * wide * np.sqrt(2 / step.size))
    assert found < 1 - 3 * made.own["ipc"].alpha.sum()
    assert (step.mean((0, 1)) * gain).mean() == pytest.approx(RATE_E_PER_FRAME, rel=5 / np.sqrt(step.size * 900 / wide))


@pytest.mark.parametrize("mode", MODES)
def test_increments_are_uncorrelated_and_totals_are_poisson(bench, mode):
    made, dn = ramps(bench, mode, "poisson")
    charge = dn * np.asarray(made.maps.gain, float)[4:-4, 4:-4]
    steps = np.diff(charge, axis=1, prepend=0.0) - RATE_E_PER_FRAME
    n = steps[:, 0].size
    assert charge == pytest.approx(np.round(charge), abs=0.02)
    for i, j in ((0, 1), (1, 2), (0, 2)):
        assert (steps[:, i] * steps[:, j]).mean() / RATE_E_PER_FRAME == pytest.approx(0, abs=5 / np.sqrt(n))
    total, mean = charge[:, -1], 3 * RATE_E_PER_FRAME
    assert total.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / n))
    assert total.var() / mean == pytest.approx(1, abs=5 * np.sqrt(2 / n))
    assert ((total - mean) ** 3).mean() / mean == pytest.approx(1, abs=5 * np.sqrt(15 * mean / n))
