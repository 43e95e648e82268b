import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Curve
from uptheramp.simulate.scene.planet import Planet
from uptheramp.simulate.scene.star import Star, flux_jy


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"effects": ("flat", "flatt")}, "unknown effects: flatt"),
        ({"ngroups": 0}, "at least 1"),
        ({"nints": 0}, "at least 1"),
        ({"ngroups": 10**6}, "allows"),
        ({"pattern": "FASTR1"}, "FASTR1"),
        ({"compression": -1.0}, "compression"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(small, keywords, message):
    with pytest.raises(InputError, match=message) as caught:
        small(**keywords)
    assert "\n" not in str(caught.value)


def test_negative_depth_and_hyperbolic_orbits_are_refused():
    flat = Curve((1.0, 2.0), (0.1, 0.1))
    good = {"period_d": 3.0, "a_rs": 10.0, "inclination_deg": 90.0, "radius_ratio": flat, "u1": flat, "u2": flat}
    Planet(**good)
    for bad in ({"radius_ratio": Curve((1.0, 2.0), (0.1, -0.1))}, {"eccentricity": 1.0}, {"a_rs": 0.5}):
        with pytest.raises(InputError):
            Planet(**(good | bad))


def test_duration_is_that_of_a_circular_orbit_in_closed_form():
    flat = Curve((1.0, 2.0), (0.1, 0.1))
    planet = Planet(period_d=3.0, a_rs=10.0, inclination_deg=90.0, radius_ratio=flat, u1=flat, u2=flat)
    assert planet.duration_d == pytest.approx(3.0 / np.pi * np.arcsin(1.1 / 10.0), rel=1e-12)
    assert planet.compressed(10.0).duration_d == pytest.approx(planet.duration_d / 10.0)


def test_compression_left_open_puts_the_transit_in_half_of_the_exposure(small):
    observation = small(compression=None, nints=50)
    in_transit = observation.orbit_planet.duration_d * 86400.0 / observation.duration_s
    assert in_transit == pytest.approx(0.48)


def test_star_has_its_k_magnitude():
    assert flux_jy(Star(5.0, 6000.0), np.array([2.159]))[0] == pytest.approx(6.667, rel=1e-12)
    table = Star(5.0, table=Curve((1.0, 3.0), (2.0, 2.0)))
    assert flux_jy(table, np.array([1.2, 2.8])) == pytest.approx([6.667, 6.667])


def test_headers_say_what_was_observed(small):
    observation = small()
    meta = observation.meta
    assert (meta.y_size, meta.x_size) == observation.shape == (16, 512)
    assert meta.group_time_s == observation.subarray.frame_time_s
    assert (meta.ngroups, meta.nints, meta.exp_type) == (3, 6, "NRS_BRIGHTOBJ")
