import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from uptheramp.calibrate.instruments import lookup
from uptheramp.simulate.detector import cosmic_rays
from uptheramp.simulate.state import Charge

SHAPE = (6, 128, 128)
DETECTORS = {"H2RG": "NIRCAM", "SiAs": "MIRI"}


def laws(kind, seconds=30.0):
    detector = lookup.instrument(DETECTORS[kind]).detectors[0]
    return detector, cosmic_rays.hit_params(detector.cosmic_rays, detector.pixel_um, SHAPE, seconds)


def independent_charges(table, pixel_um, number, rng):
    """Charges of hits in electrons, drawn with numpy and scipy from the table alone."""
    low, high = table.track_um
    s = table.track_power - 1
    u = rng.random(number)
    length = (low**-s + u * (high**-s - low**-s)) ** (-1 / s)
    z2 = rng.choice(np.array(table.ion_charge) ** 2, number, p=np.array(table.ion_share) / sum(table.ion_share))
    loss = np.maximum(stats.moyal.rvs(*table.moyal_ev_per_um, number, random_state=rng), 0)
    energy = length * z2 * loss
    return energy * table.mean_energy_ev / energy.mean() / table.ev_per_electron


@pytest.fixture(scope="module", params=DETECTORS)
def storm(request):
    """Hits and charge of 60 integrations of a detector, with its table, the laws and the seconds it was exposed."""
    detector, params = laws(request.param)

    @jax.jit
    def draw(key):
        return cosmic_rays.struck(jax.random.split(key)[0], params, SHAPE), cosmic_rays.tracks(key, params, SHAPE)

    hits, deposits = jax.tree.map(np.asarray, jax.vmap(draw)(jax.random.split(jax.random.key(4), 60)))
    return detector, params, hits, deposits, 60 * SHAPE[0] * 30.0


def test_there_are_as_many_hits_as_the_flux_says_and_every_frame_has_its_share(storm):
    detector, params, hits, _, seconds = storm
    real = hits.electrons > 0
    inside = real & (hits.y > -0.5) & (hits.y < 127.5) & (hits.x > -0.5) & (hits.x < 127.5)
    expected = detector.cosmic_rays.rate_per_cm2_s * 128**2 * (detector.pixel_um * 1e-4) ** 2 * seconds
    # a fraction of 1e-3 loses no energy at all, from the lower end of the Moyal law
    assert inside.sum() == pytest.approx(expected, abs=5 * np.sqrt(expected) + 2e-3 * expected)
    frames = np.bincount(hits.frame[real], minlength=SHAPE[0])
    assert stats.chisquare(frames).pvalue > 1e-4
    assert real.sum(1).max() < params.most


def test_charges_follow_the_laws_of_the_table(storm):
    detector, _, hits, _, _ = storm
    table = detector.cosmic_rays
    charges = hits.electrons[hits.electrons > 0].astype(float)
    expected = independent_charges(table, detector.pixel_um, 2_000_000, np.random.default_rng(1))
    expected = expected[expected > 0]
    for quantile in (0.05, 0.25, 0.5, 0.75, 0.95, 0.995):
        below = np.mean(charges < np.quantile(expected, quantile))
        assert below == pytest.approx(quantile, abs=5 * np.sqrt(quantile * (1 - quantile) / len(charges)))
    # the mean of a heavy tail: energy over conversion within its own scatter
    mean = table.mean_energy_ev / table.ev_per_electron
    assert charges.mean() == pytest.approx(mean, abs=4 * expected.std() / np.sqrt(len(charges)) + 2e-3 * mean)


def test_all_the_charge_of_the_hits_lands_in_pixels(storm):
    _, _, hits, deposits, _ = storm
    # what tracks that begin outside bring in, others take out
    real = hits.electrons > 0
    inside = real & (hits.y > -0.5) & (hits.y < 127.5) & (hits.x > -0.5) & (hits.x < 127.5)
    found, whole = float(deposits.electrons.sum()), float(hits.electrons[inside].sum())
    crossing = float(hits.electrons[real & (np.abs(np.stack([hits.y, hits.x]) - 63.5).max(0) > 60)].sum())
    assert found == pytest.approx(whole, abs=crossing + 5 * np.sqrt(whole))
    assert (deposits.electrons % 1 == 0).all()


def test_a_track_leaves_its_chord_smeared_by_diffusion():
    # the steps along one track against a fine two-dimensional integral
    sigma, length, y0, x0, angle = 0.35, 3.3, 5.2, 6.4, 0.4
    count = int(np.asarray(cosmic_rays.steps_along(np.array([length])))[0])
    image = np.zeros((12, 14))
    t = ((np.arange(count) + 0.5) / count - 0.5) * length
    y, x = y0 + t * np.sin(angle), x0 + t * np.cos(angle)
    iy, ix = np.round(y).astype(int), np.round(x).astype(int)
    part = np.asarray(cosmic_rays.shares(jnp.asarray(y - iy), jnp.asarray(x - ix), sigma)) / count
    for k in range(count):
        image[iy[k] - 1 : iy[k] + 2, ix[k] - 1 : ix[k] + 2] += part[k]
    fine = ((np.arange(4000) + 0.5) / 4000 - 0.5) * length
    edges_y, edges_x = np.arange(13) - 0.5, np.arange(15) - 0.5
    in_y = np.diff(stats.norm.cdf(edges_y[:, None], y0 + fine * np.sin(angle), sigma), axis=0)
    in_x = np.diff(stats.norm.cdf(edges_x[:, None], x0 + fine * np.cos(angle), sigma), axis=0)
    exact = np.einsum("yt,xt->yx", in_y, in_x) / 4000
    assert image == pytest.approx(exact, abs=2e-3)
    assert image.sum() == pytest.approx(1)


def test_hits_stay_once_they_are_there_and_are_all_in_the_list(chip):
    window = chip("nircam_f322w2", "cosmic_rays", ngroups=4, cosmic_rays={"flux_scale": 200.0})
    shape = (window.observation.reads_per_integration, *window.observation.shape)
    state = Charge(jnp.full(shape, 50.0, jnp.float32), jnp.asarray(0))
    after, truth = window.draw("cosmic_rays", state)
    hits = truth["cosmic_rays"]
    steps = np.diff(np.asarray(after.electrons, float) - 50, axis=0, prepend=0.0)
    listed = np.zeros(shape)
    np.add.at(listed, (hits.frame, hits.y, hits.x), hits.electrons)
    assert listed.sum() > 1e3
    # float32 sums of a pile of hits
    assert steps == pytest.approx(listed, rel=1e-5, abs=0.5)
    assert (np.asarray(hits.electrons) % 1 == 0).all()
    again, _ = window.draw("cosmic_rays", dataclasses.replace(state, integration=jnp.asarray(1)))
    assert (np.asarray(again.electrons) != np.asarray(after.electrons)).any()


def test_a_negative_flux_is_refused(chip):
    with pytest.raises(ValueError, match="negative"):
        chip("nircam_f322w2", "cosmic_rays", cosmic_rays={"flux_scale": -1.0})
