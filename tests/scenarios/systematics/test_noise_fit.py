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
    # pixels at the edge have no neighbour beyond it; all others have the power of a window cut from a larger field
    found = (modes.transformed(mixed[:, 1:-1, 1:-1]) ** 2).mean(0)
    expected = np.asarray(modes.coupling(jnp.asarray(alpha), modes.overlaps(16, 2), modes.overlaps(12, 2)))
    pull = (found / expected - 1) / np.sqrt(2 / 2000)
    assert np.abs(pull).max() < 4.5
    assert pull.std() == pytest.approx(1, abs=0.25)


STREAMS = {  # samples of a line that show in its pixels, by stream
    "one output": np.eye(5)[None],
    "alternating": np.eye(5)[None] * np.where(np.arange(5) % 2, -1.0, 1.0)[:, None],
    "all outputs at once": np.kron(np.eye(2), np.ones((4, 1)))[None],
    "each output for itself": np.stack([np.kron(np.eye(2), one[:, None]) for one in np.eye(4)]),
}


@pytest.mark.parametrize("streams", STREAMS.values(), ids=STREAMS)
def test_the_power_of_pink_noise_is_that_of_its_covariance(streams):
    lines, line, frame, reads = 3, 9, 40, 2
    pixels, samples = streams.shape[1:]
    rate, variance = poles()
    read, row, x = (a.ravel() for a in np.indices((reads, lines, samples)))
    clocks = read * frame + row * line + x
    law = np.exp(-np.abs(np.subtract.outer(clocks, clocks))[..., None] * CLOCK_S * rate) @ variance
    law = law.reshape(reads, lines, samples, reads, lines, samples)
    law = np.einsum("oxi,rlismj,oyj->rlxsmy", streams, law, streams)
    once = modes.transformed(law.transpose(3, 4, 5, 0, 1, 2)).transpose(3, 4, 5, 0, 1, 2)
    both = modes.transformed(once)
    expected = np.stack([np.einsum("lklk->lk", both[0, :, :, lag]) for lag in range(reads)])
    found = np.einsum("p,prlk->rlk", variance, modes.pink(lines, streams, line, frame, reads))
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


@pytest.fixture(scope="module")
def noisy():
    """Ramps of a sensor whose 1/f noise is louder and steeper than the table's, and the file that asks for it."""
    file = asked(
        effects={"one_over_f": {"amplitude": 2.0, "slope": 1.2}},
        noise={"free": ["gain", "read_noise", "one_over_f", "one_over_f_slope"], "terms": 2},
    )
    return file, exposures.ramp_sets(file, Path())


def test_shared_parameters_are_recovered(noisy):
    file, sets = noisy
    outcome = noise_run.run(file, sets, lambda done, total: None)
    maps, table = sets[1].constants.maps, noise.table(sets[0].observation, True)
    truth = {
        "gain": np.mean(maps.gain),
        "read_noise_e": np.sqrt(np.mean(np.square(maps.read_noise_e, dtype=float))),
        "pink_e": 2 * table["pink_e"],
        "slope": 1.2,
    }
    figures = outcome.figures
    assert figures["converged"]
    for name, true in truth.items():
        index = figures["names"].index(name)
        assert abs(figures["value"][index] - true) < 4 * figures["error"][index]
        assert figures["error"][index] < (0.05 if name in ("gain", "read_noise_e") else 0.2) * true
        assert figures["laplace"][index] == pytest.approx(figures["error"][index], rel=0.15)
    knee, error = figures["knee_hz"]
    white = 2 * truth["read_noise_e"] ** 2 * CLOCK_S
    assert abs(knee - 100 * (truth["pink_e"] ** 2 / (100 * white)) ** (1 / 1.2)) < 4 * error
    assert all(abs(c["sigma"]) < 5 for c in figures["checks"].values())
    # the coupling is held at the true one
    assert set(figures["held"]) == {"alpha_x", "alpha_y"}
    assert all(abs(c["sigma"]) < 4 for c in figures["held"].values())
    assert set(outcome.library) == {"gain", "readnoise"}


def test_what_is_held_at_a_wrong_value_shows(noisy):
    file, sets = noisy
    o = sets[0].observation
    levels = noise.levels_of(sets, 0, *noise_run.window(o))
    right = noise.table(o, True)
    held = noise.fit(levels, right | {"alpha_x": 0.05}, file.noise).held
    assert held["alpha_x"].sigma < -5
    assert right["alpha_x"] - 0.05 == pytest.approx(
        held["alpha_x"].value, abs=5 * abs(held["alpha_x"].value / held["alpha_x"].sigma)
    )
    assert abs(held["alpha_y"].sigma) < 5


def test_amplitudes_are_positive_from_whichever_side_they_are_found(noisy):
    """The likelihood knows squares only: from the mirrored start the search ends at the mirrored optimum."""
    file, sets = noisy
    o = sets[0].observation
    levels, right = noise.levels_of(sets, 0, *noise_run.window(o)), noise.table(o, True)
    found, mirrored = (noise.fit(levels, right | {"pink_e": s * right["pink_e"]}, file.noise) for s in (1, -1))
    assert found.value[found.names.index("pink_e")] > 0
    np.testing.assert_allclose(mirrored.value, found.value, atol=0.02 * found.error.min())


def test_the_window_leaves_out_pixels_without_a_neighbour():
    o = exposures.observed(asked(), 4, 2, 0)
    assert noise_run.window(o) == (slice(1, 15), slice(1, 23))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": {"free": ["gain"]}}, "gain and ipc need light"),
        ({"first_group": 2}, "fewer than 3 groups"),
        ({"noise": {"free": ["read_noise"], "skip_integrations": 1}}, "at least 2 integrations beside those"),
        ({"effects_off": ["one_over_f"], "noise": {"free": ["one_over_f_slope"]}}, "a slope needs 1/f noise"),
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
