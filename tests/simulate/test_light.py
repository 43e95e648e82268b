import numpy as np
import pytest

from uptheramp.simulate.optics import spectrograph, trace
from uptheramp.simulate.ramps import render
from uptheramp.simulate.scene import light_curve
from uptheramp.simulate.scene.planet import orbit
from uptheramp.simulate.state import Pointing


@pytest.fixture
def transit(planet):
    from dataclasses import replace

    central = replace(planet, inclination_deg=90.0, t0_bjd_tdb=100.0)
    k = np.array([0.1, 0.15])
    zero = np.zeros(2)
    body = light_curve.Body(orbit(central, 100.0), k, None)
    return light_curve.LightCurve((body,), np.zeros((2, 2)), None, None, zero)


def test_a_uniform_star_is_dimmed_by_the_ratio_of_the_areas(transit):
    flux = np.asarray(light_curve.instantaneous(transit, np.array([0.0, 4e4])))
    assert flux[0] == pytest.approx(1 - transit.bodies[0].radius_ratio ** 2, abs=1e-12)
    assert flux[1].tolist() == [1.0, 1.0]


def test_a_pixel_read_later_sees_the_transit_later(transit):
    import equinox as eqx

    late = eqx.tree_at(lambda t: t.read_offset_s, transit, np.array([0.0, 5.0]))
    both = eqx.tree_at(lambda t: t.bodies[0].radius_ratio, late, np.array([0.1, 0.1]))
    ingress = -5200.0 + 10.0 * np.arange(5)
    early = np.asarray(light_curve.instantaneous(both, ingress + 5.0))[:, 0]
    moved = np.asarray(light_curve.instantaneous(both, ingress))[:, 1]
    assert early.max() < 1 - 1e-4
    assert moved == pytest.approx(early, abs=1e-9)


def test_mean_over_a_read_is_the_integral(transit):
    start, exposure = np.array([-5400.0]), 60.0
    fine = start + (np.arange(3000) + 0.5) / 3000 * exposure
    average = np.asarray(light_curve.instantaneous(transit, fine)).mean(0)
    nodes = np.asarray(light_curve.mean_flux(transit, start, exposure))[0]
    assert nodes == pytest.approx(average, abs=1e-6)


@pytest.mark.parametrize("axis", [1, 2])
def test_profiles_hold_all_the_light_and_follow_the_trace(small, axis):
    order = small().mode.orders[0]
    shape = (64, 512) if axis == 1 else (512, 64)
    image = trace.profile(order, shape, axis)
    image = image if axis == 1 else image.T
    assert image.sum(0) == pytest.approx(np.ones(512), abs=1e-9)
    centre = (np.arange(64)[:, None] * image).sum(0)
    expected = np.interp(np.arange(512), order.trace_px.x, order.trace_px.y)
    assert centre == pytest.approx(expected, abs=2e-3)  # a pixel shifts the centroid of so narrow a profile


def test_the_matrix_keeps_photons_and_puts_lines_where_they_belong(small):
    order = small().mode.orders[0]
    fine = spectrograph.grid(order, 512)
    matrix = spectrograph.response(order, fine, 512)
    efficiency = np.interp(fine.wavelength_um, order.throughput.x, order.throughput.y, left=0.0, right=0.0)
    collected = np.sum(efficiency * fine.width_um * fine.covered) * spectrograph.TELESCOPE_AREA_M2
    assert np.asarray(matrix(np.ones(len(efficiency)))).sum() == pytest.approx(collected, rel=1e-5)
    sample = int(np.argmin(np.abs(fine.position_px - 300.25)))
    line = np.zeros(len(efficiency))
    line[sample] = 1.0
    seen = np.asarray(matrix(line))
    assert (np.arange(512) * seen).sum() / seen.sum() == pytest.approx(fine.position_px[sample], abs=1e-3)


def test_illumination_out_of_transit_is_star_and_background(small):
    observation = small(compression=1.0, start_bjd_tdb=59000.0, nints=1, effects=())
    constants = render.build(observation)
    light, seen = render.illumination(constants, Pointing.at_rest(observation.ngroups, np.int64(10**6), {}))
    expected = constants.spectra[0].response(constants.spectra[0].photons)
    assert np.asarray(seen["spectra"])[0] == pytest.approx(np.asarray(expected), rel=1e-12)
    faint = constants.background + constants.spectra[0].profile * np.asarray(expected)
    assert np.asarray(light.rate)[0] == pytest.approx(faint, rel=1e-5)
