"""The cross of MIRI's detector: where scattered light goes, how much of it, at which wavelengths."""

import jax
import numpy as np
import pytest

from uptheramp.simulate.detector.cruciform import CruciformSettings, arms
from uptheramp.simulate.effect import Params
from uptheramp.simulate.observation import observe
from uptheramp.simulate.ramps import chain
from uptheramp.simulate.scene.star import Star
from uptheramp.simulate.state import Illumination

EFFECT = chain.EFFECTS["cruciform"]


@pytest.fixture(scope="module")
def lrs(planet):
    return observe("miri_lrs", ngroups=2, nints=2, star=Star(9.0), planet=planet)


def through(own, rate):
    given = Params(np.float64(1), np.float64(1), np.float32(1), own)
    return EFFECT.mean(Illumination(rate, np.int64(0)), None, given).rate


def scattered(observation, rate):
    own = EFFECT.constants(observation, None, None)
    return np.asarray(through(own, rate)), own


def test_arms_hold_a_quarter_each_outside_the_hole():
    found = arms(4001, 12.0, 40.0)[2000]
    assert found.sum() == pytest.approx(0.5)
    assert found[2000 + 12 :].sum() == pytest.approx(0.25)
    assert not found[2000 - 11 : 2000 + 12].any()
    assert found[2000 + 60] / found[2000 + 20] == pytest.approx(np.exp(-1))


def test_a_bright_pixel_makes_a_cross_and_no_light_is_made(lrs):
    rate = np.zeros((1, *lrs.shape), np.float32)
    rate[0, 300, 36] = 1e6
    after, own = scattered(lrs, rate)
    share = own.share[300, 36]
    assert share > 1e-3
    assert after[0, 300, 36] == pytest.approx(1e6 * (1 - share), rel=1e-6)
    elsewhere = after[0].copy()
    elsewhere[300], elsewhere[:, 36] = 0, 0
    assert not elsewhere.any()
    assert 1e6 * (1 - share) < after.sum() < 1e6  # the window is narrower than the arms
    assert after[0, 300, :24].sum() == pytest.approx(after[0, 300, 49:].sum(), rel=0.05)


def test_the_share_follows_the_wavelength(lrs, planet):
    _, own = scattered(lrs, np.zeros((1, *lrs.shape), np.float32))
    order = lrs.mode.orders[0]
    lam = np.interp(np.arange(lrs.shape[0]), order.wavelength_um.x, order.wavelength_um.y)
    assert (own.share[lam > 12] == 0).all()
    near = np.abs(lam - 7.7).argmin()
    assert own.share[near, 0] == pytest.approx(2.85e-3, rel=0.05)
    image = observe("miri_image_f1500w", ngroups=2, nints=2, star=Star(9.0), planet=planet)
    assert not EFFECT.constants(image, None, None).share.any()


def test_gradient_by_the_share_is_finite_and_right(lrs):
    rate = np.random.default_rng(0).exponential(1e3, (1, *lrs.shape))
    weight, own = np.random.default_rng(1).standard_normal(rate.shape), EFFECT.constants(lrs, None, None)

    def total(scale):
        wide = type(own)(own.share.astype(float) * scale, own.along_x.astype(float), own.along_y.astype(float))
        return (through(wide, rate) * weight).sum()

    slope = float(jax.grad(total)(1.0))
    assert slope == pytest.approx(float(total(1.5) - total(0.5)), rel=1e-6)  # linear in the share


def test_senseless_scales_are_refused():
    with pytest.raises(ValueError, match="scale must lie between"):
        CruciformSettings(-1.0)
