"""The full linear model: one spectrum behind two orders, against light integrated by hand."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

from uptheramp.calibrate import flags, host
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import common_grid
from uptheramp.calibrate.references.pastasoss import Pastasoss
from uptheramp.calibrate.references.speckernel import Speckernel
from uptheramp.calibrate.references.specprofile import Specprofile
from uptheramp.calibrate.stage2.soss_extract import Extract1dParams, Extract1dRefs, box, extract_1d, learn_typical
from uptheramp.calibrate.state import Rates
from uptheramp.calibrate.stream import learned

HEIGHT, WIDTH, SIGMA_PX = 40, 240, 1.0
COLUMN = np.arange(WIDTH)
WAVELENGTH = np.stack([2.8 - 1.9 * COLUMN / WIDTH, 1.4 - 0.8 * COLUMN / WIDTH])
TRACE = np.stack([14 + 0 * COLUMN, 22 + 10 * COLUMN / WIDTH])
CURVE_UM = np.array([0.3, 0.9, 1.4, 3.0])
THROUGHPUT = np.array([[0.2, 0.4, 0.5, 0.2], [0.3, 0.3, 0.05, 0.0]])
SAMPLE = np.arange(-120, 121)[:, None] / 10
KERNEL = Speckernel(np.array([0.5, 5.5]), np.exp(-0.5 * (SAMPLE / SIGMA_PX) ** 2) * np.ones(2), 10)
FULL = Extract1dParams(method="full", soss_width=10.0)
INNER = slice(8, WIDTH - 8)  # the ends of orders are taken to be unknown


def spectrum(lam):
    return 1e6 / lam * (1 + 0.2 * np.sin(60 * lam) + 0.1 * np.sin(110 * lam))


def planet(lam):
    return 0.02 + 0.01 * np.sin(9 * lam)


def light(f):
    """Light of both orders in every column: fine sums over wavelength, the pixel's part of each line in closed form."""
    out = []
    for lam, throughput in zip(WAVELENGTH, THROUGHPUT, strict=True):
        place = np.arange(-12, WIDTH + 12, 0.05)
        fine = lam[0] + (lam[1] - lam[0]) * place
        sent = np.interp(fine, CURVE_UM, throughput) * f(fine) * abs(lam[1] - lam[0]) * 0.05
        below = [erf((COLUMN[:, None] + side - place) / SIGMA_PX / np.sqrt(2)) / 2 for side in (-0.5, 0.5)]
        out.append((below[1] - below[0]) @ sent)
    return np.stack(out)


def model(throughput=THROUGHPUT):
    parts = (np.asarray(KERNEL.wavelength_um), np.asarray(KERNEL.kernel), KERNEL.per_px)
    return common_grid.response(WAVELENGTH, CURVE_UM, throughput, *parts)


def test_the_response_is_light_integrated_by_hand():
    made = model()
    assert len(made.wavelength_um) == common_grid.points(WIDTH)
    found = (made.matrix @ spectrum(made.wavelength_um)).reshape(2, WIDTH)
    np.testing.assert_allclose(found[:, INNER], light(spectrum)[:, INNER], rtol=1e-3)


def test_one_spectrum_rebuilds_both_orders():
    true, made = light(spectrum), model()
    information = np.eye(2)[:, :, None] / (true / 100)
    guess = common_grid.estimate(made, true.ravel())
    matrix = common_grid.rebuilding(made, information, guess, 1.0)
    np.testing.assert_allclose((matrix @ true.ravel()).reshape(2, WIDTH)[:, INNER], true[:, INNER], rtol=2e-3)
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((true.size, 400)) * np.sqrt(true.ravel() / 100)[:, None]
    spread = (matrix @ noise).reshape(2, WIDTH, -1).std(-1) / np.sqrt(true / 100)
    assert (spread[:, INNER] < 1.1).all()  # no more noise than the columns by themselves have
    assert (spread[1, 8:100] < 0.95).all()  # order 2 is known from order 1 too


def exposed(height):
    """An image out of transit and one in transit, references, and light in the boxes; the window has so many rows."""
    distance = np.arange(HEIGHT)[:, None] - TRACE[:, None]
    profile = np.exp(-0.5 * (distance / 3) ** 2) / 7.5 + 0.02 / (1 + (distance / 8) ** 2)
    profile = (profile / profile.sum(1, keepdims=True))[:, :height]
    orders = np.stack([light(spectrum), light(lambda lam: spectrum(lam) * (1 - planet(lam)))])
    images = np.einsum("kyx,nkx->nyx", profile, orders) + 3.0
    variance = np.broadcast_to(images[0] + 5, images.shape)
    zero = np.zeros_like(images)
    state = Rates(images, variance, zero, zero, np.zeros(images.shape, np.uint32), np.arange(2))
    solution = Pastasoss(TRACE, WAVELENGTH, CURVE_UM, THROUGHPUT, (1, 2))
    refs = Extract1dRefs(solution, Specprofile(profile, (1, 2)), None, KERNEL)
    inside = (np.asarray(box(TRACE, 10.0, height)) * profile).sum(1)
    return state, replace(refs, typical=learn_typical(state, refs, FULL)), orders * inside


@pytest.fixture(scope="module")
def exposure():
    return exposed(HEIGHT)


def fluxes(spectra):
    return np.array(spectra.flux).reshape(-1, 2, WIDTH)


def test_boxes_are_cleaned_by_the_common_spectrum(exposure):
    state, refs, expected = exposure
    dq, data = state.dq.copy(), state.data.copy()
    dq[1, 14, 60], data[1, 14, 60] = flags.DO_NOT_USE, np.nan
    dq[0, :, 120], data[0, :, 120] = flags.DO_NOT_USE, np.nan  # a lost column
    spectra, _ = extract_1d(replace(state, dq=dq, data=data), refs, FULL)
    found = fluxes(spectra)
    assert np.isnan(found[0, :, 120]).all()
    found[0, :, 120] = expected[0, :, 120]
    np.testing.assert_allclose(found[..., INNER], expected[..., INNER], rtol=5e-4)
    clean = fluxes(extract_1d(state, refs, FULL)[0])
    depth = 1 - (clean[1] / clean[0])[:, INNER]
    true = 1 - (expected[1] / expected[0])[:, INNER]
    np.testing.assert_allclose(depth, true, atol=2e-5)


def test_an_order_whose_box_is_outside_of_the_window_keeps_its_own_light():
    state, refs, expected = exposed(24)
    outside = np.asarray(box(TRACE, 10.0, 24))[1].sum(0) == 0
    assert outside[:-8].sum() > 20
    found = fluxes(extract_1d(state, refs, FULL)[0])[:, 0]
    depth, true = (1 - light[1] / light[0] for light in (found, expected[:, 0]))
    np.testing.assert_allclose(depth[INNER], true[INNER], atol=2e-5)


def test_wrong_throughputs_matter_only_to_the_full_model(exposure):
    state, refs, expected = exposure
    wrong = replace(refs, pastasoss=replace(refs.pastasoss, throughput=THROUGHPUT * np.array([[1.0], [0.9]])))
    wrong = replace(wrong, typical=learn_typical(state, replace(wrong, typical=None), FULL))
    by_column = replace(FULL, method="box")
    same = fluxes(extract_1d(state, wrong, by_column)[0])
    np.testing.assert_allclose(same[..., INNER], expected[..., INNER], rtol=1e-9)
    full = fluxes(extract_1d(state, wrong, FULL)[0])
    assert np.abs(full / expected - 1)[..., INNER].max() > 1e-3


def test_gradient_with_respect_to_a_pixel(exposure):
    state, refs, _ = exposure

    def flux(step):
        spectra, _ = extract_1d(replace(state, data=jnp.asarray(state.data).at[0, 16, 50].add(step)), refs, FULL)
        return spectra.flux[0, 51]  # of the next column

    slope = float(jax.grad(flux)(0.0))
    assert slope == pytest.approx(float(flux(1.0) - flux(-1.0)) / 2, rel=1e-6)
    assert slope != 0  # one spectrum ties neighbours together


def test_the_matrix_is_made_between_programs(exposure, monkeypatch):
    """A program that calls the host is kept in no cache."""
    state, refs, _ = exposure
    given = []

    def call(function, results, *args):
        given.extend(args)
        return host_call(function, results, *args)

    host_call = host.call
    monkeypatch.setattr(host, "call", call)
    library = {"pastasoss": refs.pastasoss, "specprofile": refs.specprofile, "speckernel": KERNEL}
    known = learned((extract_1d,), state, library, {"extract_1d": FULL})
    assert given
    assert not any(isinstance(each, jax.core.Tracer) for each in given)
    whole = jax.jit(lambda state: learn_typical(state, replace(refs, typical=None), FULL).common.rebuilding)(state)
    np.testing.assert_allclose(known["typical"].common.rebuilding, whole, atol=1e-9)


def test_it_needs_the_line_spread(exposure):
    state, refs, _ = exposure
    with pytest.raises(InputError, match="SPECKERNEL"):
        learn_typical(state, replace(refs, speckernel=None), FULL)
