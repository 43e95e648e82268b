"""Aperture photometry of an imaged star: exact areas, the official step's figures, bad pixels, motion, gradients."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import flags, pipeline
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels.circle import overlap
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.target import Target
from uptheramp.calibrate.references.tsophot import Tsophot
from uptheramp.calibrate.stage3.tso_photometry import TsoPhotometryParams, tso_photometry
from uptheramp.calibrate.state import Photometry, Rates

SHAPE = (24, 27)
OFFICIAL = TsoPhotometryParams(3.0, 4.0, 5.0, missing="omit")
CIRCLES = [
    (10.3, 12.7, 3.0),
    (10.0, 12.0, 3.0),
    (-1.2, 5.0, 4.5),
    (10.5, 10.5, 0.3),
    (15.5, 12.0, 7.0),
    (13.0, 9.0, 50.0),
]


@pytest.mark.parametrize("circle", CIRCLES)
def test_areas_are_those_of_a_fine_grid_and_sum_to_the_circle(circle):
    x, y, radius = circle
    found = np.asarray(overlap(SHAPE, x, y, radius))
    fine = 60
    row, column = ((np.arange(n * fine) + 0.5) / fine - 0.5 for n in SHAPE)
    inside = (row[:, None] - y) ** 2 + (column - x) ** 2 <= radius**2
    counted = inside.reshape(SHAPE[0], fine, SHAPE[1], fine).mean((1, 3))
    assert np.abs(found - counted).max() < 3 / fine  # of pixels that the edge crosses
    if radius <= min(x, y, SHAPE[1] - 1 - x, SHAPE[0] - 1 - y):
        assert found.sum() == pytest.approx(np.pi * radius**2, rel=1e-13)


@pytest.mark.parametrize("circle", CIRCLES)
def test_areas_are_those_of_photutils(circle):
    aperture = pytest.importorskip("photutils.aperture")
    x, y, radius = circle
    expected = aperture.CircularAperture((x, y), radius).to_mask(method="exact").to_image(SHAPE)
    np.testing.assert_allclose(overlap(SHAPE, x, y, radius), expected, atol=1e-12)


@pytest.mark.parametrize("circle", [(10.3, 12.7, 3.1), (-0.6, 22.7, 4.3)])
def test_areas_move_as_finite_differences_say(circle):
    weight = np.random.default_rng(3).normal(size=SHAPE)

    def total(p):
        return jnp.sum(weight * overlap(SHAPE, p[0], p[1], p[2]))

    total, slopes = jax.jit(total), jax.jit(jax.grad(total))(jnp.array(circle))
    for k in range(3):
        step = 1e-6 * np.eye(3)[k]
        numerical = (total(np.array(circle) + step) - total(np.array(circle) - step)) / 2e-6
        assert float(slopes[k]) == pytest.approx(float(numerical), rel=1e-6)


def test_areas_have_finite_derivatives_where_the_circle_touches_pixels():
    slopes = jax.jacrev(lambda p: overlap(SHAPE, p[0], p[1], p[2]))(jnp.array([10.0, 12.0, 3.5]))
    assert np.isfinite(np.asarray(slopes)).all()


learned_and_run = eqx.filter_jit(pipeline.run_learning)


def target(x=13.0, y=12.0, pixel_sr=2e-14):
    values = (x, y, 2.1, (2.0, 2.2), pixel_sr, 3.0, (3.0, 4.0, 5.0))
    return Target(*(np.asarray(value, float) for value in values))


def images(integrations=6, drift_px=0.1, noise=3.0, dtype=np.float32, unit="MJy/sr"):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    middle = 13.3 + drift_px * np.arange(integrations)[:, None, None]
    star = 1000 * np.exp(-0.5 * (((x - middle) / 1.3) ** 2 + ((y - 11.6) / 1.5) ** 2))
    data = star + 20 + noise * np.random.default_rng(1).normal(size=star.shape)
    one, dq = np.ones_like(data, dtype), np.zeros(data.shape, np.uint32)
    return Rates(data.astype(dtype), 5 * one, 4 * one, 0 * one, dq, np.arange(integrations), None, unit)


def flagged(state, *pixels):
    data, dq = state.data.copy(), state.dq.copy()
    for pixel in pixels:
        data[pixel], dq[pixel] = np.nan, flags.DO_NOT_USE
    return replace(state, data=data, dq=dq)


def measured(state, params, **library):
    return learned_and_run((tso_photometry,), state, {"target": target(), **library}, {"tso_photometry": params})[0]


BAD = ((2, 11, 14), (3, 10, 16), (3, 16, 13), (4, 1, 1))  # in the circle, in the annulus, outside


@pytest.mark.peer
@pytest.mark.parametrize(("moving", "unit"), [(True, "MJy/sr"), (False, "DN/s")])
def test_figures_are_those_of_the_official_step(moving, unit):
    peer = pytest.importorskip("jwst.tso_photometry.tso_photometry")
    gwcs, models = pytest.importorskip("gwcs"), pytest.importorskip("astropy.modeling.models")
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    state = flagged(images(unit=unit), *BAD)
    gain = np.random.default_rng(4).uniform(1.8, 2.2, SHAPE).astype(np.float32)
    own = measured(state, replace(OFFICIAL, moving_centroid=moving), gain=Gain(gain, np.float32(1)))

    model = datamodels.CubeModel(data=state.data.copy(), err=np.full_like(state.data, 3), dq=state.dq.copy())
    model.meta.bunit_data, model.meta.photometry.pixelarea_steradians = unit, 2e-14
    model.meta.exposure.integration_time = 3.0
    model.int_times = np.array([(i + 1, *[59000.0 + i] * 6) for i in range(6)], model.get_dtype("int_times"))
    frames = [gwcs.Frame2D(name=name) for name in ("detector", "world")]
    model.meta.wcs = gwcs.WCS([(frames[0], models.Identity(2)), (frames[1], None)])
    peer.convert_data_units(model, gain)
    fitted = peer.tso_source_centroid(model, 13.0, 12.0)
    place = fitted[:2] if moving else [np.nanmedian(c) for c in fitted[:2]]
    table = peer.tso_aperture_photometry(model, *place, 3.0, 4.0, 5.0, *fitted)

    assert own.unit == str(table["aperture_sum"].unit)
    for name in set(Photometry.columns) & set(table.colnames):
        # in Jy the official fit of the width stops before it gets anywhere: its numbers are too small for its tolerance
        if unit == "MJy/sr" and name.startswith("psf"):
            continue
        np.testing.assert_allclose(own.column(name), table[name].value, rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(own.flux[:, 0], table["net_aperture_sum"].value, rtol=1e-6)


# of the official step (jwst 3.0.0) for the first three images of this file in DN/s, a gain of 2 and one bad pixel
GOLDEN = {
    "aperture_sum": [68762.677, 68603.776, 63479.143],
    "aperture_sum_err": [95.712508, 95.712508, 94.004703],
    "annulus_sum": [4745.8025, 4693.2615, 4692.1947],
    "aperture_x": [13.397099, 13.397099, 13.397099],
    "aperture_y": [11.610858, 11.610858, 11.610858],
    "centroid_x": [13.298178, 13.397099, 13.475474],
    "psf_width_x": [1.2654286, 1.2649625, 1.2714599],
    "psf_width_y": [1.4712278, 1.4670624, 1.4762744],
    "psf_flux": [73490.973, 73241.816, 73374.287],
}


def test_figures_are_the_kept_ones_of_the_official_step():
    state = flagged(images(integrations=3, unit="DN/s"), BAD[0])
    own = measured(state, OFFICIAL, gain=Gain(np.full(SHAPE, 2, np.float32), np.float32(1)))
    assert own.unit == "electron"
    for name, expected in GOLDEN.items():
        np.testing.assert_allclose(own.column(name), expected, rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(own.flux[:, 0], [64016.875, 63910.515, 58952.901], rtol=1e-6)


def test_a_bad_pixel_costs_no_light_unless_it_is_omitted():
    clean = images(drift_px=0.0, noise=0.0)
    state = flagged(clean, (2, 11, 14))
    whole = np.asarray(measured(clean, OFFICIAL).flux[:, 0])
    restored, lost = (measured(state, replace(OFFICIAL, missing=how)) for how in ("rescale", "omit"))
    np.testing.assert_allclose(restored.flux[:, 0], whole, rtol=1e-5)
    assert float(lost.flux[2, 0]) < 0.95 * whole[2]
    assert [int(dq) for dq in restored.dq[:, 0]] == [0, 0, flags.FLUX_ESTIMATED, 0, 0, 0]
    # half of the light must be there
    everything = [(1, y, x) for y in range(8, 16) for x in range(9, 14)]
    unusable = measured(flagged(clean, *everything), replace(OFFICIAL, missing="rescale"))
    assert int(unusable.dq[1, 0]) & flags.DO_NOT_USE
    assert np.isnan(float(unusable.flux[1, 0]))


def test_an_aperture_that_follows_the_star_loses_less_of_its_light():
    state = images(integrations=8, drift_px=0.3, noise=0.0)
    fixed, moving = (
        np.asarray(measured(state, replace(OFFICIAL, moving_centroid=m)).flux[:, 0]) for m in (False, True)
    )
    assert np.std(moving) < 0.3 * np.std(fixed)
    found = measured(state, replace(OFFICIAL, moving_centroid=True))
    np.testing.assert_allclose(np.diff(found.column("centroid_x")), 0.3, atol=0.01)
    np.testing.assert_allclose(found.column("psf_width_x"), np.sqrt(1.3**2 - 1 / 12), atol=0.02)


def test_radii_come_from_the_user_then_the_reference_then_the_official_step():
    wide = Tsophot(*(np.float32(radius) for radius in (5.0, 7.0, 9.0)))
    state, free = images(), TsoPhotometryParams()
    assert np.asarray(measured(state, free).radii_px).tolist() == [3.0, 4.0, 5.0]
    assert np.asarray(measured(state, free, tsophot=wide).radii_px).tolist() == [5.0, 7.0, 9.0]
    mixed = measured(state, replace(free, radius=4.5), tsophot=wide)
    assert np.asarray(mixed.radii_px).tolist() == [4.5, 7.0, 9.0]
    assert float(mixed.npixels[0]) == pytest.approx(np.pi * 4.5**2, rel=1e-6)


def test_an_unknown_way_with_bad_pixels_is_refused():
    with pytest.raises(InputError, match="missing=ignore: give one of rescale, omit"):
        TsoPhotometryParams(missing="ignore")


def test_without_an_annulus_in_the_window_there_is_no_background():
    state = images(noise=0.0)
    alone = measured(state, replace(OFFICIAL, radius=60.0, radius_inner=70.0, radius_outer=80.0))
    np.testing.assert_allclose(alone.flux[:, 0], 2e-8 * state.data.sum((1, 2), dtype=float), rtol=1e-5)
    assert np.isfinite(np.asarray(alone.var_poisson)).all()


def test_errors_are_the_scatter_of_many_draws():
    rng = np.random.default_rng(8)
    clean = images(integrations=1, noise=0.0)
    many = np.repeat(np.asarray(clean.data), 1500, 0) + 3 * rng.normal(size=(1500, *SHAPE))
    one = np.ones(many.shape, np.float32)
    state = Rates(many.astype(np.float32), 5 * one, 4 * one, 0 * one, np.zeros(many.shape, np.uint32), np.arange(1500))
    found = measured(state, replace(OFFICIAL, centroid_source=False))
    assert np.std(found.flux) == pytest.approx(float(np.asarray(found.err).mean()), rel=0.06)


@pytest.mark.parametrize("moving", [False, True])
def test_gradients_equal_finite_differences(moving):
    state = flagged(images(dtype=np.float64, unit="Jy"), *BAD)
    params = {"tso_photometry": TsoPhotometryParams(3.1, 4.2, 6.3, moving_centroid=moving)}
    library = learned_and_run((tso_photometry,), state, {"target": target()}, params)[1]
    direction = np.random.default_rng(6).normal(size=state.data.shape)
    tilt = 1 + 0.3 * np.arange(6)

    @jax.jit
    def light(t):
        source = library["source"]
        moved = replace(source, position_px=source.position_px + t[1] * np.array([1.0, -0.6]))
        radii = {"tso_photometry": replace(params["tso_photometry"], radius=3.1 + t[2], radius_outer=6.3 + t[3])}
        data = replace(state, data=state.data + t[0] * direction)
        out, _ = pipeline.run((tso_photometry,), data, library | {"source": moved}, radii)
        return jnp.sum(out.flux[:, 0] * tilt) + jnp.sum(out.var_poisson)

    slopes = jax.jit(jax.grad(light))(jnp.zeros(4))
    for k in range(4):
        step = 1e-6 * np.eye(4)[k]
        numerical = float(light(step) - light(-step)) / 2e-6
        assert float(slopes[k]) == pytest.approx(numerical, rel=1e-5, abs=1e-9)
