import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import convolve2d

from uptheramp.calibrate.errors import InputError
from uptheramp.simulate.detector import ipc
from uptheramp.simulate.detector.poisson import poisson
from uptheramp.simulate.state import Charge


def point(shape=(1, 9, 9), electrons=1000.0):
    return jnp.zeros(shape).at[0, 4, 4].set(electrons)


def shared(law, electrons):
    charge = Charge(jnp.asarray(electrons), jnp.asarray(0))
    return np.asarray(ipc.Ipc().mean(charge, None, type("P", (), {"own": law})).electrons)


def test_a_point_spreads_as_the_kernel_which_sums_to_one():
    law = ipc.Constant(jnp.array([0.006, 0.015]))
    kernel = np.asarray(ipc.kernel(law.alpha))
    assert kernel.sum() == pytest.approx(1)
    assert shared(law, point())[0, 3:6, 3:6] == pytest.approx(1000 * kernel)
    image = np.random.default_rng(0).random((3, 12, 10))
    wide = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
    assert shared(law, image) == pytest.approx(np.stack([convolve2d(w, kernel, mode="valid") for w in wide]))


@pytest.mark.parametrize("law", [ipc.Constant(np.array([0.01, 0.03])), ipc.Donlon(0.0065, 0.0145, 2e4, 1e4)])
def test_charge_is_conserved(law):
    image = np.random.default_rng(1).exponential(2e4, (2, 20, 30))
    assert shared(law, image).sum((1, 2)) == pytest.approx(image.sum((1, 2)))


def test_coupling_falls_with_signal_and_contrast_as_donlon_says():
    law = ipc.Donlon(0.0065, 0.0145, 2e4, 1e4)
    assert float(law.coupling(0.0, 0.0, 0)) == pytest.approx(0.0145, rel=1e-6)
    assert float(law.coupling(1e6, 0.0, 0)) == pytest.approx(0.0065)
    one, other = 3e4, 1e4
    expected = 0.0065 + 0.004 * (np.exp(-1) + np.exp(-np.sqrt(5) * 1e4 / 1e4))
    assert float(law.coupling(one, other, 1)) == pytest.approx(expected, rel=1e-6)
    assert shared(law, point(electrons=3e4))[0, 3, 4] == pytest.approx(3e4 * float(law.coupling(3e4, 0.0, 1)))
    gradient = jax.grad(lambda s: ipc.Donlon(0.0065, 0.0145, 2e4, 1e4)(s, s, 0))(0.0)
    assert np.isfinite(gradient)


@pytest.mark.parametrize("mode", ["nirspec_prism", "miri_lrs"])
def test_photon_noise_becomes_correlated_by_two_alpha(chip, mode):
    law = chip(mode, "ipc").own["ipc"]
    q = poisson(jax.random.key(5), jnp.full((40, 128, 128), 5000.0, jnp.float32))
    s = shared(law, q).astype(float) - 5000
    ax, ay = np.asarray(law.alpha, float)
    k = np.asarray(ipc.kernel(np.array([ax, ay])))
    n = s.size
    variance = s.var()
    assert variance == pytest.approx(5000 * (k**2).sum(), rel=5 * np.sqrt(2 / n))
    for axis, a in ((2, ax), (1, ay)):
        pair = (s * np.roll(s, 1, axis)).mean() / variance
        # 2 a k0 of one pair, and nothing else along a row of a cross-shaped kernel
        assert pair == pytest.approx(2 * a * k[1, 1] / (k**2).sum(), abs=5 / np.sqrt(n))
        assert 2 * a * k[1, 1] / (k**2).sum() == pytest.approx(2 * a, rel=0.15)
    # electrons per DN from photon transfer come out too many by the lost variance
    assert s.var() < 5000 * (1 - 3 * (ax + ay))


def test_the_place_in_the_order_is_a_switch(chip):
    window = chip("nirspec_prism", "ipc", "ipc_after_nonlinearity", "nonlinearity")
    rng = np.random.default_rng(3)
    charge = Charge(rng.uniform(0, 6e4, (2, 32, 48)).astype(np.float32), jnp.asarray(0))
    before = window.mean("nonlinearity", window.mean("ipc", charge)).electrons
    after = window.mean("ipc_after_nonlinearity", window.mean("nonlinearity", charge)).electrons
    difference = np.abs(np.asarray(before - after))
    # they differ by how much less steep the curve is where the charges are: at most 4 alpha (1 - S') of the contrast
    curve = np.asarray(window.maps.charge_physics(np.linspace(0, 6e4, 500), window.maps.deficit_scale.max()))
    shallow = 1 - np.diff(curve).min() / np.diff(np.linspace(0, 6e4, 500))[0]
    assert 1.0 < difference.max() < 4 * 0.006 * shallow * 6e4


def test_a_detector_without_a_law_refuses_the_knob(chip):
    with pytest.raises(InputError, match="signal-dependent"):
        chip("miri_lrs", "ipc", ipc={"signal_dependent": True})
