from dataclasses import replace

import equinox as eqx
import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.fit import curve
from uptheramp.calibrate.fit.system import Priors
from uptheramp.calibrate.fit.white import fit_white, white_curve, white_weights

T0 = 59787.0567
TIME = T0 + np.linspace(-0.11, 0.1, 150)
U = np.array([[0.2, 0.25]])


@pytest.fixture(scope="module")
def single(system, curves_of):
    def build(noise=0.0, shift_d=0.0, system=system):
        return curves_of(system, [0.0213], U, noise, t0=T0 + shift_d, time=TIME)

    return build


@pytest.fixture(scope="module")
def like(system):
    """The system with the limb darkening that the curves were made with."""
    table = replace(system.limb_darkening, wavelength_um=(1.0,), u1=(0.2,), u2=(0.25,))
    return replace(system, limb_darkening=table, priors=Priors())


def test_noise_free(single, like):
    """Depth to 0.05 ppm and mid-time to 10 ms, exposure integration and quadrature included."""
    fit = fit_white(single(shift_d=2e-4), like)
    assert bool(fit.curve.converged)
    assert float(fit.depth) == pytest.approx(0.0213, abs=5e-8)
    assert float(fit.t0) == pytest.approx(T0 + 2e-4, abs=1e-7)


def test_errors_are_the_scatter_over_draws(single, like):
    """Pulls of depth and mid-time over 60 draws: mean square within the 99 % interval of chi-square / 60 (0.59, 1.53).

    Given errors are ten times too small: only the residuals set the scale.
    """
    rng = np.random.default_rng(3)
    pulls = []
    for _ in range(60):
        data = single(1e-3 * rng.standard_normal((1, len(TIME))))
        fit = fit_white(data, like)
        assert float(fit.curve.error_scale) == pytest.approx(10.0, rel=0.25)
        pulls.append([(fit.depth - 0.0213) / fit.error(curve.DEPTH), (fit.t0 - T0) / fit.error(curve.T0)])
    mean_square = np.mean(np.square(pulls), axis=0)
    assert np.all((mean_square > 0.59) & (mean_square < 1.53)), mean_square


def test_limb_darkening_fitted(single, like):
    rng = np.random.default_rng(4)
    wrong = replace(like, limb_darkening=replace(like.limb_darkening, u1=(0.6,), u2=(0.0,)))
    data = single(5e-5 * rng.standard_normal((1, len(TIME))))
    held, fitted = fit_white(data, wrong), fit_white(data, wrong, limb_darkening="fitted")
    off_held = abs(float(held.depth) - 0.0213) / float(held.error(curve.DEPTH))
    off = abs(float(fitted.depth) - 0.0213) / float(fitted.error(curve.DEPTH))
    assert off_held > 5 and off < 3.5
    pull = [(fitted.curve.parameters[i] - U[0, i - curve.U1]) / fitted.error(i) for i in (curve.U1, curve.U2)]
    assert np.all(np.abs(pull) < 3.5)


def test_priors_hold_the_orbit(single, like):
    """A prior much narrower than what the data say keeps a/R* within it, and its error is the prior's."""
    rng = np.random.default_rng(5)
    tight = replace(like, a_rs=like.a_rs * 1.002, priors=Priors(a_rs_sigma=1e-4, impact_sigma=0.02))
    fit = fit_white(single(2e-4 * rng.standard_normal((1, len(TIME)))), tight, orbit="fitted")
    assert float(fit.curve.parameters[curve.A_RS]) == pytest.approx(tight.a_rs, abs=5e-4)
    assert float(fit.error(curve.A_RS)) == pytest.approx(1e-4, rel=0.01)


def test_missing_points_do_not_count(single, like):
    data = single()
    holes = np.asarray(data.flux).copy()
    holes[0, ::7] = np.nan
    fit = fit_white(eqx.tree_at(lambda d: d.flux, data, holes), like)
    assert float(fit.depth) == pytest.approx(0.0213, abs=5e-8)
    assert int(fit.curve.used.sum()) == np.isfinite(holes).sum()
    assert np.all(np.isnan(np.asarray(fit.curve.residuals)[::7]))


def test_response_is_the_derivative(single, like):
    """Adding to one point moves the depth by the response there."""
    rng = np.random.default_rng(6)
    data = single(1e-4 * rng.standard_normal((1, len(TIME))))
    fit = fit_white(data, like)
    scale = float(np.median(data.flux))
    for point, step in ((75, 2e-5), (10, 2e-5)):
        moved = np.asarray(data.flux).copy()
        moved[0, point] += step
        other = fit_white(eqx.tree_at(lambda d: d.flux, data, moved), like)
        assert float(other.depth - fit.depth) == pytest.approx(
            float(fit.curve.response[0, point]) * step / scale, rel=2e-2
        )


def test_eclipse(system, curves_of):
    from uptheramp.calibrate.fit.orbit import orbit_of, separation
    from uptheramp.calibrate.fit.transit import eclipse_excess
    from uptheramp.calibrate.state import LightCurves

    t0 = system.t0_bjd_tdb
    time = t0 + system.period_d / 2 + np.linspace(-0.1, 0.1, 200)
    z = separation(time, orbit_of(system, t0), "eclipse")
    flux = 5.0 * (1 + np.asarray(eclipse_excess(z, 1.2e-3, system.rp_rs)))
    rng = np.random.default_rng(8)
    noisy = (flux + 5e-5 * rng.standard_normal(200))[None]
    nothing = np.zeros(1)
    data = LightCurves(time, np.float64(1.0), noisy, np.full_like(noisy, 1e-4), nothing + 5, nothing + 0.1, nothing)
    fit = fit_white(data, system, kind="eclipse")
    assert bool(fit.curve.converged)
    assert abs(float(fit.depth) - 1.2e-3) < 4 * float(fit.error(curve.DEPTH)) < 2e-5


def test_white_curve_weighs_by_noise(curves_of, system):
    rng = np.random.default_rng(9)
    noise = np.array([[1e-4], [4e-4]]) * rng.standard_normal((2, len(TIME)))
    data = curves_of(system, [0.02, 0.02], np.tile(U, (2, 1)), noise, t0=T0, time=TIME)
    data = eqx.tree_at(lambda d: d.flux, data, np.asarray(data.flux) * [[3.0], [800.0]])
    weight = white_weights(data)
    assert weight.sum() == pytest.approx(1.0)
    assert weight[0] / weight[1] == pytest.approx(16, rel=0.4)
    flux, _ = white_curve(data, weight)
    assert np.median(flux) == pytest.approx(1.0, abs=0.02)


def test_channels_without_any_noise_all_count(single):
    """Of a simulation without noise most second differences are exactly zero, whatever the transit does."""
    flat = single()
    flat = eqx.tree_at(lambda c: c.flux, flat, np.where(np.asarray(flat.flux) > 0.99, 1.0, np.asarray(flat.flux)))
    weight = white_weights(flat)
    assert weight == pytest.approx([1.0])
    assert np.isfinite(white_curve(flat, weight)[0]).all()


def test_other_time_scale_is_refused(single, like):
    data = single()
    with pytest.raises(InputError, match="2400000.5"):
        fit_white(eqx.tree_at(lambda d: d.time, data, np.asarray(data.time) + 2400000.5), like)
