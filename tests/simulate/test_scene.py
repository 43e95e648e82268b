"""The scene against brute force: a star of many little squares, some behind the planet, some in a spot."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Curve
from uptheramp.simulate.scene import atmospheres, limb_darkening, variability
from uptheramp.simulate.scene.emission import Emission
from uptheramp.simulate.scene.light_curve import Body, LightCurve, instantaneous, position
from uptheramp.simulate.scene.limb_darkening import LimbDarkening
from uptheramp.simulate.scene.occultation import overlap
from uptheramp.simulate.scene.planet import orbit
from uptheramp.simulate.scene.spots import Spot, spots
from uptheramp.simulate.scene.star import Star, planck_ratio, shape_jy

LAM = np.array([1.0, 4.0])
K = np.array([0.1, 0.14])
N = 2000
AXIS = (np.arange(N) + 0.5) / N * 2 - 1
X, Y = np.meshgrid(AXIS, AXIS)
ON_STAR = X**2 + Y**2 < 1
MU = np.sqrt(np.where(ON_STAR, 1 - X**2 - Y**2, 0))


def flat(value):
    return Curve((0.5, 20.0), (value, value))


@pytest.fixture(scope="module")
def path(planet):
    return orbit(replace(planet, t0_bjd_tdb=100.0), 100.0)


def scene(path, u, **parts):
    body = Body(path, K, parts.pop("emission", None))
    return LightCurve(
        **({"bodies": (body,), "u": u, "spots": None, "variability": None, "read_offset_s": np.zeros(2)} | parts)
    )


def brute(x, y, k, intensity):
    """Flux of a face with a planet before it, over that of the face."""
    seen = np.where(ON_STAR, intensity, 0)
    return seen[(X - x) ** 2 + (Y - y) ** 2 >= k**2].sum() / seen.sum()


LAWS = {
    "quadratic": (LimbDarkening("quadratic", (flat(0.3), flat(0.2))), 1 - 0.3 * (1 - MU) - 0.2 * (1 - MU) ** 2),
    "power2": (LimbDarkening("power2", (flat(0.6), flat(0.7))), 1 - 0.6 * (1 - MU**0.7)),
    "nonlinear": (
        LimbDarkening("nonlinear", (flat(0.5), flat(-0.2), flat(0.3), flat(-0.1))),
        1 - 0.5 * (1 - MU**0.5) + 0.2 * (1 - MU) - 0.3 * (1 - MU**1.5) + 0.1 * (1 - MU**2),
    ),
}


@pytest.mark.parametrize("name", LAWS)
def test_every_law_dims_as_the_squares_do(path, name):
    law, intensity = LAWS[name]
    times = np.array([0.0, 2500.0, 4300.0, 4800.0])
    flux = np.asarray(instantaneous(scene(path, limb_darkening.polynomial(law, LAM)), times))
    for t, row in zip(times, flux, strict=True):
        x, y, _ = np.asarray(position(path, jnp.array([t])))[:, 0]
        assert row == pytest.approx([brute(x, y, k, intensity) for k in K], abs=1.5e-5)  # squares of 1e-3: 1e-5


def test_a_table_of_intensities_is_the_law_it_was_made_of():
    mu = np.linspace(0, 1, 60)
    table = Curve(tuple(mu), tuple(1 - 0.3 * (1 - mu) - 0.2 * (1 - mu) ** 2))
    law = LimbDarkening("intensity", wavelength_um=(1.0, 4.0), intensity=(table, table))
    u = limb_darkening.polynomial(law, LAM)
    assert limb_darkening.quadratic_of(u) == pytest.approx(np.array([[0.3, 0.3], [0.2, 0.2]]), abs=2e-3)
    step = Curve((0.0, 0.49, 0.51, 1.0), (0.2, 0.2, 1.0, 1.0))
    with pytest.raises(InputError, match="smooth"):
        limb_darkening.polynomial(LimbDarkening("intensity", wavelength_um=(1.0,), intensity=(step,)), LAM)
    with pytest.raises(InputError, match="2 coefficients"):
        LimbDarkening("power2", (flat(0.1),))


@pytest.mark.parametrize("teff", [4500.0, 6000.0])
def test_spot_and_facula_crossings_are_those_of_the_squares(path, teff):
    u = np.array([[0.3, 0.1], [0.2, 0.15]])
    at = position(path, jnp.array([1500.0]))
    spot = Spot(float(at[0, 0]) + 0.03, float(at[1, 0]) - 0.02, 0.08, teff)
    dark = scene(path, u, spots=spots((spot,), 5500.0, u, LAM))
    times = np.array([-1e5, 1500.0, 2100.0])
    flux = np.asarray(instantaneous(dark, times))
    mu = np.sqrt(1 - spot.x**2 - spot.y**2)
    for column, (lam, k) in enumerate(zip(LAM, K, strict=True)):
        face = 1 - u[0, column] * (1 - MU) - u[1, column] * (1 - MU) ** 2
        middle = 1 - u[0, column] * (1 - mu) - u[1, column] * (1 - mu) ** 2
        inside = (X - spot.x) ** 2 + (Y - spot.y) ** 2 < spot.radius**2
        spotted = face - inside * (1 - planck_ratio(teff, 5500.0, lam)) * middle
        assert flux[0, column] == pytest.approx(1.0, abs=1e-12)
        for row, t in ((1, 1500.0), (2, 2100.0)):
            x, y, _ = np.asarray(position(path, jnp.array([t])))[:, 0]
            assert flux[row, column] == pytest.approx(brute(x, y, k, spotted), abs=2e-5)


def test_a_spot_must_lie_on_the_star():
    with pytest.raises(InputError, match="disc"):
        Spot(0.95, 0.0, 0.1, 4500.0)


def test_the_eclipse_hides_all_of_the_planet_and_the_peak_comes_early_for_an_eastward_spot(path):
    u = np.zeros((2, 2))
    period = float(path.period_s)
    time = np.linspace(0.25, 0.75, 4001) * period
    day, night = np.array([1e-3, 4e-3]), np.array([2e-4, 1e-3])
    glow = Emission(day, night, np.float64(np.radians(20.0)))
    flux = np.asarray(instantaneous(scene(path, u, emission=glow), time))
    middle = len(time) // 2
    assert flux[middle] == pytest.approx(np.ones(2), abs=1e-12)
    assert flux.max(0) - 1 == pytest.approx(day, rel=2e-3)
    assert time[flux[:, 1].argmax()] == pytest.approx((0.5 - 20 / 360) * period, abs=2e-3 * period)
    noon = Emission(day, night, np.float64(0.0))
    around = np.asarray(instantaneous(scene(path, u, emission=noon), np.array([0.02, 0.98]) * period))
    assert around[0] == pytest.approx(around[1], abs=1e-12)
    assert around[0] - 1 == pytest.approx(night, rel=0.05)


def test_ingress_of_the_eclipse_follows_the_covered_area(path):
    glow = Emission(np.full(2, 1e-3), np.full(2, 1e-3), np.float64(0.0))
    half = float(path.period_s) / 2
    time = half + np.linspace(-5400, -4300, 40)
    flux = np.asarray(instantaneous(scene(path, np.zeros((2, 2)), emission=glow), time))
    x, y, z = np.asarray(position(path, jnp.asarray(time)))
    assert (z < 0).all()
    disc = np.linspace(-1, 1, 801)
    dx, dy = np.meshgrid(disc, disc)
    inside = dx**2 + dy**2 < 1
    for column, k in enumerate(K):
        out = [((x[i] + k * dx) ** 2 + (y[i] + k * dy) ** 2 >= 1)[inside].mean() for i in range(len(time))]
        assert (flux[:, column] - 1) * 1e3 == pytest.approx(np.array(out), abs=2e-3)


def test_two_planets_add_and_a_users_light_curve_multiplies(path, planet, tmp_path):
    u = np.array([[0.3, 0.1], [0.2, 0.15]])
    one = scene(path, u)
    later = replace(planet, t0_bjd_tdb=100.05, period_d=9.0)
    other = Body(orbit(later, 100.0), K / 2, None)
    time = np.linspace(-6000, 8000, 50)
    both = np.asarray(instantaneous(replace(one, bodies=(*one.bodies, other)), time))
    single = np.asarray(instantaneous(replace(one, bodies=(other,)), time))
    assert both == pytest.approx(np.asarray(instantaneous(one, time)) + single - 1, abs=1e-12)
    file = tmp_path / "star.ecsv"
    file.write_text(
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: time, datatype: float64}\n"
        "# - {name: flux_1.0, datatype: float64}\n# - {name: flux_4.0, datatype: float64}\n"
        "time flux_1.0 flux_4.0\n99.9 1.0 1.0\n100.1 1.02 1.01\n"
    )
    changing = replace(one, variability=variability.read(file, 100.0, LAM))
    factor = 1 + np.outer((time / 86400 + 0.1) / 0.2, [0.02, 0.01])
    assert np.asarray(instantaneous(changing, time)) == pytest.approx(
        factor * np.asarray(instantaneous(one, time)), abs=1e-12
    )
    file.write_text(file.read_text().replace("1.02", "-1.0"))
    with pytest.raises(InputError, match="positive"):
        variability.read(file, 100.0, LAM)


def test_shared_area_of_two_discs():
    d = np.array([0.0, 0.5, 0.95, 1.0, 1.05, 2.0])
    found = np.asarray(overlap(jnp.asarray(d), 0.1, 1.0))
    assert found[[0, 1]] == pytest.approx(np.pi * 0.01)
    assert found[5] == 0
    grid = np.linspace(-1, 1, 2001) * 0.1
    gx, gy = np.meshgrid(grid, grid)
    for i in (2, 3, 4):
        share = (((gx + d[i]) ** 2 + gy**2 < 1) & (gx**2 + gy**2 < 0.01)).sum() / (gx**2 + gy**2 < 0.01).sum()
        assert found[i] == pytest.approx(share * np.pi * 0.01, abs=2e-5)


def test_atmospheres_have_the_infrared_shape_and_refuse_what_is_not_there():
    lam = np.array([1.0, 1.65, 4.6])
    model, black = (shape_jy(Star(10.0, 5485.0, model=m), lam) for m in ("atmosphere", "blackbody"))
    excess = model / black
    assert excess[1] > excess[0] > excess[2]  # the H- opacity minimum at 1.65 micron, carbon monoxide at 4.6
    assert atmospheres.ratio(5500.0, lam) == pytest.approx(
        (atmospheres.ratio(5250.0, lam) + atmospheres.ratio(5750.0, lam)) / 2, rel=0.01
    )
    with pytest.raises(InputError, match="4250"):
        Star(10.0, 3000.0, model="atmosphere")
