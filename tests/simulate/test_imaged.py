"""Imaging time series: light through a filter, what the truth says of it, and motion through the whole chain."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate.gradient import value_and_grad
from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.instruments.core import Curve
from uptheramp.simulate import truth
from uptheramp.simulate.detector.flat import FlatSettings
from uptheramp.simulate.observation import observe
from uptheramp.simulate.optics import sources
from uptheramp.simulate.optics.pointing import PointingSettings, TiltEvent
from uptheramp.simulate.ramps import level1b, references, render
from uptheramp.simulate.scene.field import FieldStar
from uptheramp.simulate.scene.star import Star, photon_rate

SHAKEN = PointingSettings(jitter_mas=4.0, wander_mas=2.0, offset_mas=(6.0, -3.0), drift_mas_per_h=(500.0, 300.0))


@pytest.fixture(scope="module")
def imaging(planet):
    """Return a function that makes a small imaging exposure; keywords override."""

    def make(mode="nircam_image_f444w", **keywords):
        defaults = {"ngroups": 3, "nints": 4, "star": Star(9.0), "planet": planet, "compression": 500.0}
        return observe(mode, **(defaults | keywords))

    return make


@pytest.mark.parametrize("mode", [m.name for m in lookup.modes() if m.image is not None])
def test_every_imaging_mode_puts_the_light_of_its_band_on_its_star(imaging, mode):
    observation = imaging(mode, effects=())
    image = observation.mode.image
    (source,) = sources.of_target(observation)
    elements = np.asarray(source.response(source.photons))
    fine = np.linspace(image.throughput.x[0], image.throughput.x[-1], 4001)
    efficiency = np.interp(fine, image.throughput.x, image.throughput.y)
    band = 25.4 * np.trapezoid(efficiency * photon_rate(observation.star, fine), fine)
    assert elements.sum() == pytest.approx(band, rel=2e-3)
    stamp = np.tensordot(elements, source.images.at_rest(), 1)
    first, end, left, right = source.box
    y, x = np.mgrid[first:end, left:right]
    bright = np.where(stamp > 0.2 * stamp.max(), stamp, 0)
    height = min(image.defocus_diameter_px, 2 * observation.shape[0])  # a ring higher than the window is cut evenly
    centre = (x * bright).sum() / bright.sum(), (y * bright).sum() / bright.sum()
    assert centre == pytest.approx(image.centre_px, abs=0.1 if not height else 1.0)


def test_without_noise_the_depth_of_the_image_is_the_truth(imaging, planet):
    dark_limb = Curve((0.5, 13.0), (0.0, 0.0))
    still = replace(planet, inclination_deg=90.0, u1=dark_limb, u2=dark_limb)
    ideal = {"effects": ("reference_pixels", "superbias"), "background_scale": 0.0, "compression": 1.0}
    inside = imaging(planet=still, **ideal)
    outside = imaging(planet=replace(still, t0_bjd_tdb=59788.5), **ideal)
    constants = [jax.tree.map(np.float64, render.build(o), is_leaf=eqx.is_array) for o in (inside, outside)]
    ramps = [np.asarray(render.mean_chunk(o, c, 2, 1)[0])[0] for o, c in zip((inside, outside), constants, strict=True)]
    faint, bright = ((r[-1] - r[0]) * constants[1].maps.gain for r in ramps)
    nothing = np.zeros((4, 1, 1))
    true = truth.of(outside, constants[1], nothing, nothing, truth.no_cosmic_rays())
    kept = constants[1].spectra[0].images.at_rest().sum((1, 2))  # of each piece of the band, in the window
    flux, depth_flux = true.flux_e_per_s[0], true.depth_flux_e_per_s[0]
    expected = (kept @ depth_flux) / (kept @ flux)
    assert (1 - faint.sum() / bright.sum() - expected) * 1e6 == pytest.approx(0.0, abs=1.0)
    assert len(flux) == 3
    assert np.ptp(depth_flux / flux) > 1e-5  # the pieces differ: an unweighted mean would not do
    assert true.star_e_per_s.sum() == pytest.approx(kept @ flux, rel=1e-6)


def test_pointing_follows_neither_chunks_nor_other_effects(imaging):
    kinds = {"star": Star(30.0), "background_scale": 0.0, "settings": {"pointing": SHAKEN}}
    still = imaging(effects=("read_noise", "superbias"), **kinds)
    moving = imaging(effects=("pointing", "read_noise", "superbias"), **kinds)
    constants = render.build(moving)
    whole, _, drawn = render.draw_chunk(moving, constants, 0, 4)
    # it is dark: the noise of the other effects stays as it is without motion
    assert (render.draw_chunk(still, render.build(still), 0, 4)[0] == whole).all()
    memory, parts, paths = None, [], []
    for first in (0, 2):
        data, memory, truth_of_chunk = render.draw_chunk(moving, constants, first, 2, memory)
        parts.append(data)
        paths.append(truth_of_chunk["pointing"])
    assert (np.concatenate(parts) == whole).all()
    assert (np.concatenate(paths) == drawn["pointing"]).all()
    shift = drawn["pointing"][..., :2]
    assert np.unique(shift).size == shift.size
    # and the path does not depend on the other effects
    alone = imaging(effects=("pointing",), **kinds)
    assert (render.draw_chunk(alone, render.build(alone), 0, 4)[2]["pointing"] == drawn["pointing"]).all()


PLACES = {
    "offset": lambda c: c.own["pointing"].offset_px,
    "jitter": lambda c: c.own["pointing"].jitter_px,
    "drift": lambda c: c.own["pointing"].drift_px_per_s,
    "tilt flux": lambda c: c.own["pointing"].tilt_flux,
    "tilt width": lambda c: c.own["pointing"].tilt_width,
    "radius ratio": lambda c: c.spectra[0].curve.bodies[0].radius_ratio,
}


@pytest.fixture(scope="module", params=["image", "spectrum"])
def frame_gradient(request, imaging, small):
    """Return the sum of a mean integration against fixed weights as a function of the constants, and its gradient."""
    event = TiltEvent(1e-3, flux=-1e-3, shift_mas=(2.0, 1.0), width=1e-2)
    make = imaging if request.param == "image" else small
    knobs = {"pointing": replace(SHAKEN, tilt=(event,)), "flat": FlatSettings(subpixel=0.1)}
    observation = make(effects=("pointing", "flat"), settings=knobs)
    wide = jax.tree.map(
        lambda x: jnp.asarray(x, jnp.float64) if x.dtype == np.float32 else x, render.build(observation)
    )
    weight = np.random.default_rng(5).standard_normal((observation.ngroups, *observation.shape))

    def total(tree):
        return jnp.sum(weight * render.mean_integration(tree, jnp.asarray(2), observation.effects, {})[0])

    _, gradient = jax.jit(value_and_grad(total))(wide)
    return jax.jit(total), wide, gradient


@pytest.mark.parametrize("name", PLACES)
def test_gradients_of_a_mean_frame_are_finite_differences(frame_gradient, slopes, name):
    total, constants, gradient = frame_gradient
    step = 1e-3 if name != "radius ratio" else 1e-5
    analytic, numeric = slopes(total, constants, gradient, PLACES[name], step)
    assert numeric != 0
    assert analytic == pytest.approx(numeric, rel=1e-5)


def test_another_star_is_a_fainter_image_beside_the_target(imaging):
    observation = imaging(field_stars=(FieldStar(9.0 + 2.5, (5.0, -8.0), 5500.0),), effects=())
    (mine,), (its,) = sources.of_target(observation), sources.of_field(observation)
    first, second = (np.tensordot(s.response(s.photons), s.images.at_rest(), 1) for s in (mine, its))
    assert second[:-8, 5:] == pytest.approx(first[8:, :-5] * 0.1, rel=1e-5)


@pytest.mark.peer
@pytest.mark.parametrize("mode", ["nircam_image_f444w", "nircam_image_wlp8_f150w", "miri_image_f1500w"])
def test_files_of_imaging_modes_are_official_ones(imaging, tmp_path, mode):
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    subarray = {"miri_image_f1500w": "SUB64", "nircam_image_wlp8_f150w": "SUB160P"}.get(mode)
    effects = ("reference_pixels", "superbias")
    observation = imaging(mode, subarray=subarray, ngroups=2, nints=1, effects=effects)
    constants = render.build(observation)
    (path,) = level1b.write(observation, tmp_path, constants=constants)
    with datamodels.open(path) as model:
        assert type(model).__name__ == "Level1bModel"
        model.validate()
        assert model.data.shape == (1, 2, *observation.shape)
        assert model.meta.exposure.type == observation.mode.exp_type
    library = references.make(observation, constants, "oracle")
    assert not {"wavemap", "extract1d"} & set(library)
    for reference in references.save(observation, library, tmp_path):
        if reference.suffix == ".fits":
            with datamodels.open(reference) as model:
                model.validate()
