"""SOSS: three overlapping orders, defocused, turned by the pupil wheel, tilted; and the sky behind them."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import cauchy, norm

from uptheramp.calibrate.errors import InputError
from uptheramp.simulate.observation import observe
from uptheramp.simulate.optics import background, trace
from uptheramp.simulate.optics.alignment import Alignment
from uptheramp.simulate.optics.dispersed import leaning
from uptheramp.simulate.ramps import render
from uptheramp.simulate.scene.star import Star


@pytest.fixture(scope="module")
def soss(planet):
    def make(mode="niriss_soss", **keywords):
        defaults = {"ngroups": 2, "nints": 1, "star": Star(10.2, 5485.0), "planet": planet}
        return observe(mode, **(defaults | keywords))

    return make


def test_windows_hold_the_orders_they_should(soss):
    assert [o.number for o in soss().mode.orders] == [1, 2, 3]
    assert [o.number for o in soss(subarray="SUBSTRIP96").mode.orders] == [1, 2]
    red = soss("niriss_soss_f277w").mode.orders
    assert [o.number for o in red] == [1]
    assert np.interp(2.2, red[0].throughput.x, red[0].throughput.y, left=0.0) == 0


def test_the_defocused_profile_is_its_density_integrated_over_pixels(soss):
    order = soss().mode.orders[0]
    horns, lam, fwhm = order.horns, np.array([1.3]), np.array([20.4])
    inset, sigma, lower, upper, blur = (
        float(np.interp(1.3, c.x, c.y))
        for c in (horns.inset_px, horns.sigma_px, horns.lower, horns.upper, horns.edge_px)
    )

    half = fwhm[0] / 2

    def core(d):
        plateau = norm.cdf((d + half) / blur) - norm.cdf((d - half) / blur)
        low, high = (np.exp(-((d + side * (half - inset)) ** 2) / (2 * sigma**2)) for side in (1, -1))
        return plateau + lower * low + upper * high

    total = quad(core, -60, 60, limit=400)[0]

    def density(d):
        return (1 - horns.wing_fraction) * core(d) / total + horns.wing_fraction * cauchy.pdf(d, scale=horns.wing_px)

    edges = np.arange(-30.5, 31)
    share = np.diff(trace.horned(edges[:, None], fwhm, horns, lam)[:, 0])
    expected = [quad(density, a, a + 1)[0] for a in edges[:-1]]
    assert share == pytest.approx(np.array(expected), abs=1e-9)
    far = trace.horned(np.array([[-1e7], [1e7]]), fwhm, horns, lam)[:, 0]
    assert far == pytest.approx([0, 1], abs=1e-6)


def test_profiles_follow_the_trace_and_overlap(soss):
    o = soss()
    rows = np.arange(256)
    images = {order.number: trace.profile(order, o.shape, 1) for order in o.mode.orders}
    for order in o.mode.orders[:2]:
        for x in (200, 900, 1500):
            profile = images[order.number][:, x]
            half = rows[profile > 0.5 * np.median(np.sort(profile)[-15:])]
            centre = np.interp(x, order.trace_px.x, order.trace_px.y)
            # the higher horn pushes its edge outwards
            assert (half[0] + half[-1]) / 2 == pytest.approx(centre, abs=1.5)
    # order 2 lies under order 1 at the red end and clear of it at the blue one
    shared = (images[1] * images[2]).sum(0) / (images[1] ** 2).sum(0)
    assert shared[100] > 10 * shared[1500]


def test_a_turn_of_the_pupil_wheel_moves_the_red_end(soss):
    still, turned = soss().mode.orders[0], soss(alignment=Alignment(pupil_wheel_deg=0.03)).mode.orders[0]
    at = [np.interp(100, o.trace_px.x, o.trace_px.y) for o in (still, turned)]
    assert at[1] - at[0] == pytest.approx(-1787 * np.radians(0.03), abs=0.03)
    near = [np.interp(1887, o.trace_px.x, o.trace_px.y) for o in (still, turned)]
    assert near[1] == pytest.approx(near[0], abs=0.02)
    assert soss(subarray="SUBSTRIP96").mode.orders[0].pivot_px == (1887.0, 44.0)


def test_what_has_no_pupil_wheel_or_tilt_is_refused(small):
    with pytest.raises(InputError, match="pupil wheel"):
        small(alignment=Alignment(pupil_wheel_deg=0.1))
    with pytest.raises(InputError, match="tilt"):
        small(alignment=Alignment(tilt=1.0))


def test_leaning_images_keep_the_light_and_are_the_shifted_spectrum(soss):
    x = np.arange(400.0)
    lean = np.linspace(-0.25, 0.25, 25)[:, None] * np.ones(400)

    def line(at):
        return 1 + 0.5 * np.exp(-((at - 200.3) ** 2) / (2 * 2.5**2))

    seen = np.asarray(leaning(line(x)[None], lean, 1))
    assert seen == pytest.approx(line(x - lean), abs=3e-3)  # cubic term of a line: l (1 - l^2) / 6 S'''
    assert seen.sum(1) == pytest.approx(np.full(25, line(x).sum()), rel=1e-5)
    other = np.asarray(leaning(line(x)[:, None], lean.T, 2))
    assert other == pytest.approx(seen.T, abs=1e-6)


def test_tilt_moves_light_along_rows_only(soss):
    upright, tilted = soss(), soss(alignment=Alignment(tilt=1.0))
    frames = []
    for o in (upright, tilted):
        constants = render.build(o)
        light, _ = render.illumination(constants, render.expected_pointing(constants))
        frames.append(np.asarray(light.rate[0], float))
    assert np.abs(frames[1] - frames[0]).max() > 1
    inner = slice(40, 2000)
    assert frames[1][:, inner].sum(1) == pytest.approx(frames[0][:, inner].sum(1), rel=2e-3)


def test_the_sky_has_its_step(soss):
    o = soss()
    sky = background.image(o.mode, o.shape, 2.0)
    assert sky[:, 690].mean() / sky[:, 710].mean() == pytest.approx(0.629, abs=0.005)
    assert sky[0, 760] == pytest.approx(2 * o.mode.background_e_per_s, rel=0.01)
    small_window = soss(subarray="SUBSTRIP96")
    assert (background.image(small_window.mode, small_window.shape, 2.0)[0] == sky[0]).all()
