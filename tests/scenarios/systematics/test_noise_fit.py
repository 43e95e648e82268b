"""Shared noise parameters: powers of modes against draws, and a joint fit against what was put in."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.calibrate.tables import structure
from uptheramp.scenarios.systematics import exposures, modes, noise, noise_run
from uptheramp.scenarios.systematics.fit_file import FitFile
from uptheramp.simulate.detector import ipc
from uptheramp.simulate.detector.one_over_f import poles
from uptheramp.simulate.state import Charge


def test_the_power_of_coupled_noise_is_that_of_the_simulators_effect():
    alpha = np.array([0.02, 0.05])
    noise = np.random.default_rng(0).standard_normal((2000, 14, 18))
    given = type("P", (), {"own": ipc.Constant(alpha)})
    mixed = np.asarray(ipc.Ipc().mean(Charge(jnp.asarray(noise), jnp.asarray(0)), None, given).electrons)
    found = (modes.transformed(mixed[:, 2:-2, 2:-2]) ** 2).mean(0)
    expected = np.asarray(modes.coupling(jnp.asarray(alpha), modes.overlaps(14, 2), modes.overlaps(10, 2)))
    pull = (found / expected - 1) / np.sqrt(2 / 2000)
    assert np.abs(pull).max() < 4.5
    assert pull.std() == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("alternating", [False, True])
def test_the_power_of_pink_noise_is_that_of_its_covariance(alternating):
    lines, pixels, line, frame, reads = 3, 5, 9, 40, 2
    rate, variance = poles()
    read, row, x = (a.ravel() for a in np.indices((reads, lines, pixels)))
    clocks = read * frame + row * line + x
    law = np.exp(-np.abs(np.subtract.outer(clocks, clocks))[..., None] * CLOCK_S * rate) @ variance
    sign = np.where(x % 2, -1.0, 1.0) if alternating else np.ones(len(x))
    law = (law * sign * sign[:, None]).reshape(reads, lines, pixels, reads, lines, pixels)
    once = modes.transformed(law.transpose(3, 4, 5, 0, 1, 2)).transpose(3, 4, 5, 0, 1, 2)
    both = modes.transformed(once)
    expected = np.stack([np.einsum("lklk->lk", both[0, :, :, lag]) for lag in range(reads)])
    found = modes.pink((lines, pixels), line, frame, reads, alternating)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def asked(**changes):
    content = {
        "name": "small",
        "family": "noise",
        "mode": "nirspec_prism",
        "window": [24, 16],
        "effects_on": ["ipc"],
        "effects_off": ["cosmic_rays"],
        "model": ["poisson", "nonlinearity", "ipc", "read_noise", "one_over_f", "adc"],
        "noise": {"free": ["gain", "read_noise"], "terms": 2},
        "ramps": [{"fill": fill, "ngroups": 4, "nints": 12} for fill in (0.0, 0.5)],
    }
    return structure(content | changes, FitFile, "small")


def test_gain_and_read_noise_are_recovered():
    file = asked()
    sets = exposures.ramp_sets(file, Path())
    outcome = noise_run.run(file, sets, lambda done, total: None)
    maps = sets[1].constants.maps
    truth = {"gain": np.mean(maps.gain), "read_noise_e": np.sqrt(np.mean(np.square(maps.read_noise_e, dtype=float)))}
    figures = outcome.figures
    assert figures["converged"]
    for name, true in truth.items():
        index = figures["names"].index(name)
        assert abs(figures["value"][index] - true) < 4 * figures["error"][index]
        assert figures["error"][index] < 0.05 * true
        assert figures["laplace"][index] == pytest.approx(figures["error"][index], rel=0.1)
    assert all(abs(c["sigma"]) < 5 for c in figures["checks"].values())
    assert set(outcome.library) == {"gain", "readnoise"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": {"free": ["gain"]}}, "gain and ipc need light"),
        ({"first_group": 2}, "fewer than 3 groups"),
        ({"mode": "miri_image_f770w", "noise": {"free": ["one_over_f"]}}, "interleaved"),
    ],
)
def test_what_cannot_be_found_is_refused(changes, message):
    dark = [{"fill": 0.0, "ngroups": 4, "nints": 2}]
    file = asked(**({"ramps": dark, "noise": {"free": ["read_noise"]}} | changes))
    o = exposures.observed(file, 4, 2, 0)
    sets = [exposures.RampSet(o, np.zeros((2, 4, *o.shape)), "dark", True, None)]
    with pytest.raises(InputError, match=message):
        noise_run.run(file, sets, lambda done, total: None)


def test_odd_pixels_and_hits_are_filled_with_noise_of_their_neighbours():
    residual = np.random.default_rng(1).standard_normal((60, 3, 8, 8))
    residual[:, :, 2, 3] *= 6
    kept = np.ones((60, 8, 8), bool)
    residual[4, 1, 5, 5], kept[4, 5, 5] = 99.0, False
    mended = noise.mended(residual, kept)
    assert mended[:, :, 2, 3].std() < 1.6
    assert np.abs(mended).max() < 6
    untouched = np.ones(kept.shape, bool)
    untouched[:, 2, 3] = untouched[4, 5, 5] = False
    same = (mended == residual).all(1)
    assert same[untouched].all()
