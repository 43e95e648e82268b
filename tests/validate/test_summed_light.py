"""Without noise, the depth of the summed light is the depth that went in (physics sheet, section 12, test 7)."""

import numpy as np
import pytest

from uptheramp.calibrate.instruments.core import Curve
from uptheramp.simulate.ramps.render import build
from uptheramp.simulate.scene.planet import Planet
from uptheramp.simulate.scene.star import Star
from uptheramp.validate import summed_light
from uptheramp.validate.summed_light import alone, depth, double, filled, groups, short, straightened, true_depth

PLANET = Planet(
    period_d=4.0553,
    a_rs=11.39,
    inclination_deg=87.7369,
    radius_ratio=Curve((0.5, 3.0, 5.0, 13.0), (0.14, 0.15, 0.145, 0.15)),
)
FILL = 0.75  # of the well, in the brightest pixel at the last group
MODES = {
    "nirspec_prism": {"ngroups": 4, "subarray": "SUB512S"},
    "nircam_f322w2 averaged": {"ngroups": 3, "pattern": "BRIGHT2"},
    "miri_lrs": {"ngroups": 12},
    "nircam_image_f277w": {"ngroups": 4},
}


def made(name, effects=(), **keywords):
    o = short(name.split()[0], Star(10.0), PLANET, effects, **(MODES.get(name, {}) | keywords))
    return o, filled(o, double(build(o)), FILL)


@pytest.mark.parametrize("name", MODES)
def test_a_linear_detector_shows_the_depth(name):
    o, constants = made(name)
    bias = depth(groups(o, constants), constants) - true_depth(constants)
    assert abs(bias) < 1e-7  # float64 throughout: a tenth of what is asked


@pytest.fixture(scope="module")
def soss():
    return made("niriss_soss", ngroups=2)


@pytest.mark.parametrize("index", [0, 1, 2], ids=["order 1", "order 2", "order 3"])
def test_each_order_of_soss_shows_its_depth(soss, index):
    o, constants = soss
    single = alone(constants, index)
    found, true = depth(groups(o, single), single), true_depth(single)
    assert abs(found - true) < 1e-7
    others = [true_depth(alone(constants, i)) for i in range(3) if i != index]
    assert min(abs(true - other) for other in others) > 5e-5  # the orders can be told apart


@pytest.mark.parametrize("name", [name for name in MODES if "averaged" not in name])
def test_charge_physics_and_its_polynomial_keep_the_depth(name):
    o, constants = made(name, ("nonlinearity",))
    data = groups(o, constants)
    bias = depth(straightened(constants)(data), constants) - true_depth(constants)
    print(f"{name}: {1e6 * bias:.2f} ppm")  # noqa: T201
    assert abs(bias) < 5e-6
    assert abs(depth(data, constants) - true_depth(constants)) > 1e-5  # without it the depth is wrong


def test_averaged_frames_are_straightened_with_their_spread():
    o, constants = made("nircam_f322w2 averaged", ("nonlinearity",))
    data, true = groups(o, constants), true_depth(constants)
    plain, spread = (depth(straightened(constants, within_groups=w)(data), constants) - true for w in (False, True))
    print(f"averaged: {1e6 * plain:.2f} ppm by the polynomial of the average, {1e6 * spread:.2f} ppm")  # noqa: T201
    assert abs(spread) < 5e-6 < abs(plain)


@pytest.mark.parametrize("index", [0, 1, 2], ids=["order 1", "order 2", "order 3"])
def test_charge_physics_of_each_order_of_soss(index):
    o = short("niriss_soss", Star(10.0), PLANET, ("nonlinearity",), ngroups=3)
    constants = filled(o, alone(double(build(o)), index), FILL)
    (order,) = constants.spectra
    brightest = int(np.argmax(np.asarray(order.response(order.photons)) * np.asarray(order.profile).sum(0)))
    part = slice(max(brightest - 100, 0), brightest + 100)
    data, true = groups(o, constants), true_depth(constants, part)
    # light that the line spread carries over the ends of the part has nearly the same depth
    bias = depth(straightened(constants, part)(data), constants, part) - true
    print(f"order {index + 1}: {1e6 * bias:.2f} ppm")  # noqa: T201
    assert abs(bias) < 5e-6
    assert abs(depth(data[..., part], constants, part) - true) > 1e-5  # without it the depth is wrong


def test_the_integrations_are_where_they_should_be():
    o, constants = made("nirspec_prism")
    data = groups(o, constants)
    light = (data[:, -1] - data[:, 0]).sum((1, 2))
    assert light[0] == pytest.approx(light[1], rel=1e-12)
    assert light[summed_light.IN] == pytest.approx(light.min(), rel=1e-12)
    assert np.argmin(light) in (3, 4, 5)
