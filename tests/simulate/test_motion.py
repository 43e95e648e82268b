"""Images that move: expansions against images made anew, averages over jitter, the response inside pixels."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import erf

from uptheramp.calibrate.instruments.core import Curve
from uptheramp.simulate.optics import dispersed, expansion, point_spread, sources, spectrograph, subpixel, trace
from uptheramp.simulate.optics.pointing import STILL, PointingSettings, TiltEvent, positions
from uptheramp.simulate.scene.field import FieldStar
from uptheramp.simulate.scene.star import Star, photon_rate
from uptheramp.simulate.scene.system import steady
from uptheramp.simulate.state import Pointing

LONG_AGO = np.array([-1e7])


def pointing(x=0.0, y=0.0, width=0.0, flux=0.0, jitter=None):
    still = Pointing.at_rest(1, np.int64(0), {})
    return replace(
        still,
        shift_px=np.array([[x, y]]),
        width=np.array([width]),
        flux=np.array([flux]),
        jitter_px=jitter and np.array(jitter),
    )


@pytest.fixture(scope="module")
def moving(small):
    """Return a PRISM exposure whose images may move by two pixels."""
    scale = np.array(small().detector.pixel_scale_arcsec) * 1e3
    return small(effects=("pointing",), settings={"pointing": PointingSettings(0.0, offset_mas=tuple(2 * scale))})


@pytest.fixture(scope="module")
def star(moving):
    """Return its only order, without a transit."""
    (order,) = sources.of_target(moving)
    return replace(order, curve=steady(order.wavelength_um, order.curve.read_offset_s))


def image(source, at):
    rate, elements = source.light(LONG_AGO, np.float64(0.1), at)
    return np.asarray(rate, float)[0], np.asarray(elements)


def test_a_whole_pixel_of_motion_shifts_the_image(star):
    rest, at_rest = image(star, pointing())
    moved, along = image(star, pointing(x=1.0, y=-1.0))
    lit = slice(100, 400)
    assert np.abs(moved[:-1, 101:401] - rest[1:, lit]).max() < 1e-6 * rest.max()
    assert along[101:401] == pytest.approx(at_rest[lit], rel=1e-6)


def test_moved_and_widened_profiles_and_matrices_are_those_made_anew(moving, star):
    order = moving.mode.orders[0]
    fine = spectrograph.grid(order, 512, 2.0)
    rng = np.random.default_rng(4)
    for x, y in rng.uniform(-1.5, 1.5, (4, 2)):
        profile = np.tensordot(np.asarray(star.profiles.weights(y, 0.0)), star.profiles.coefficients, 1)
        assert profile == pytest.approx(trace.profile(order, moving.shape, 1, (0.0, y)), abs=1e-6)
        bands = np.tensordot(np.asarray(star.bands.weights(x, 0.0)), star.bands.coefficients, 1)
        made = spectrograph.response(order, fine, 512, x).bands
        assert np.abs(bands - made).max() < 1e-6 * made.max()


def test_an_image_moved_and_widened_is_the_image_made_anew(small):
    settings = PointingSettings(0.0, offset_mas=(10.0, 10.0), tilt=(TiltEvent(0.0, width=0.02),))
    exposure = small(effects=("pointing",), settings={"pointing": settings})
    # straight and of one width: where the tables bend, a shift along them is a parabola through three pixels
    straight = {"trace_px": Curve((-9.0, 521.0), (5.0, 9.0)), "fwhm_px": Curve((1.0, 5.0), (1.5, 1.5))}
    table = replace(exposure.mode.orders[0], **straight)
    found, _ = image(dispersed.spectrum(exposure, table, exposure.star, steady), pointing(0.08, -0.06, 0.015))
    fine = spectrograph.grid(table, 512, 1.0)
    light = photon_rate(exposure.star, fine.wavelength_um)
    elements = spectrograph.response(table, fine, 512, 0.08, 0.015)(light)
    made = trace.profile(table, exposure.shape, 1, (0.08, -0.06), 0.015) * np.asarray(elements)
    assert np.abs(found - made).max() < 2e-6 * made.max()


def test_the_terms_kept_hold_for_all_three_changes_at_once():
    def bump(x, y, widened):
        return point_spread.line(12, 5.3 + y + 0.1 * x, 1.2 * (1 + widened))

    found = expansion.expand(bump, (0.2, 0.1, 0.02))
    rng = np.random.default_rng(1)
    for x, y, w in rng.uniform(-1, 1, (10, 3)) * (0.2, 0.1, 0.02):
        weights = np.asarray(found.weights(x, y, w))
        assert np.tensordot(weights, found.coefficients, 1) == pytest.approx(bump(x, y, w), abs=2e-6)
    assert len(found.coefficients) > 10
    assert len(expansion.expand(bump, STILL).coefficients) == 1


def test_the_average_over_jitter_across_is_the_wider_gaussian():
    sigma, jitter = 0.6, 0.08

    def bump(y):
        return point_spread.line(12, 5.3 + y, sigma * trace.FWHM_PER_SIGMA)

    found = expansion.expand(bump, (6 * jitter,))
    position, share = positions(pointing(jitter=(0.0, jitter)), 1)
    weights = share @ np.asarray(found.weights(position[:, 0]))
    blurred = point_spread.line(12, 5.3, np.hypot(sigma, jitter) * trace.FWHM_PER_SIGMA)
    assert np.tensordot(weights, found.coefficients, 1) == pytest.approx(blurred, abs=3e-7)
    assert np.abs(bump(0.0) - blurred).max() > 1e-3


def test_the_average_over_jitter_of_a_spectrum_is_that_of_its_images(star):
    jitter = 0.05
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    weights = weights / weights.sum()
    average = sum(
        a * b * image(star, pointing(u * jitter, v * jitter))[0]
        for u, a in zip(nodes, weights, strict=True)
        for v, b in zip(nodes, weights, strict=True)
    )
    found, _ = image(star, pointing(jitter=(jitter, jitter)))
    assert np.abs(found - average).max() < 1e-6 * average.max()
    assert np.abs(found - image(star, pointing())[0]).max() > 1e-4 * average.max()


def test_a_change_of_flux_scales_the_star(star):
    rest, at_rest = image(star, pointing())
    dimmer, elements = image(star, pointing(flux=-2e-3))
    assert dimmer == pytest.approx(rest * 0.998, rel=1e-5, abs=1e-6 * rest.max())
    assert elements == pytest.approx(at_rest * 0.998, rel=1e-12)


def test_response_inside_pixels_against_the_integral_in_closed_form():
    a, sigma, centre = 0.2, 0.5, 4.2
    found = point_spread.line(9, centre, sigma * trace.FWHM_PER_SIGMA, subpixel.response(a))
    pixel = np.arange(9.0)
    low, high = pixel - 0.5 - centre, pixel + 0.5 - centre

    def parts(u):
        """Integrals of g, u g and u^2 g of a unit Gaussian of width sigma up to u."""
        g = np.exp(-(u**2) / 2 / sigma**2) / np.sqrt(2 * np.pi) / sigma
        whole = 0.5 * erf(u / np.sqrt(2) / sigma)
        return whole, -(sigma**2) * g, sigma**2 * whole - sigma**2 * u * g

    zeroth, first, second = (b - a for a, b in zip(parts(low), parts(high), strict=True))
    shift = centre - pixel  # u of the pixel = u of the Gaussian + shift
    moment = second + 2 * shift * first + shift**2 * zeroth
    assert found == pytest.approx((zeroth - a**2 * moment) / (1 - a**2 / 12), abs=1e-5)
    assert np.abs(found - zeroth).max() > 2e-4


def test_uniform_light_sees_no_response_inside_pixels():
    inside = subpixel.response(0.2)
    assert inside.mean() == pytest.approx(1.0, abs=1e-14)
    assert subpixel.seen(np.ones(5 * len(inside)), inside / len(inside)) == pytest.approx(np.ones(5), abs=1e-14)
    assert subpixel.response(0.0).tolist() == [1.0]


def test_a_narrow_image_that_moves_over_a_pixel_loses_light_at_its_edge():
    a, inside = 0.2, subpixel.response(0.2)
    near, far = 1 / 32, 13 / 32  # middles of samples
    seen = [point_spread.in_focus((0, 9, 0, 9), (4.0 + u, 4.0 + near), 0.005, inside).sum() for u in (near, far)]
    narrow = sum(share for share, wider in point_spread.GAUSSIANS if wider < 64)  # the rest reaches over the edge
    assert seen[0] - seen[1] == pytest.approx(narrow * a**2 * (far**2 - near**2), rel=0.02)


@pytest.mark.parametrize("diameter", [0.0, 20.0])
def test_images_of_stars_hold_all_their_light_and_sit_where_they_should(diameter):
    box = (0, 61, 0, 71)
    if diameter:
        stamp = point_spread.ring(box, (30.3, 33.6), diameter, 2.0, subpixel.UNIFORM)
    else:
        stamp = point_spread.in_focus(box, (30.3, 33.6), 2.0, subpixel.UNIFORM)
    y, x = np.mgrid[0:61, 0:71]
    bright = np.where(stamp > 0.01 * stamp.max(), stamp, 0)
    # in focus, the two widest Gaussians reach beyond the box
    assert stamp.sum() == pytest.approx(1.0, abs=3e-4 if diameter else 0.012)
    assert (x * bright).sum() / bright.sum() == pytest.approx(30.3, abs=0.02)
    assert (y * bright).sum() / bright.sum() == pytest.approx(33.6, abs=0.02)


def test_another_star_is_the_same_order_at_another_place(small):
    target = small(star=Star(11.5, 5000.0))
    other = FieldStar(11.5 + 2.5, (7.0, 2.0), 5000.0)
    with_other = small(star=Star(11.5, 5000.0), field_stars=(other,))
    (mine,), (its,) = sources.of_target(target), sources.of_field(with_other)
    alone = replace(mine, curve=steady(mine.wavelength_um, mine.curve.read_offset_s))
    first, second = (image(s, pointing())[0] for s in (alone, its))
    assert second[2:, 107:400] == pytest.approx(first[:-2, 100:393] * 0.1, rel=1e-4, abs=1e-6 * first.max())
    assert sources.of_field(small(field_stars=(FieldStar(12.0, (0.0, 100.0)),))) == ()
