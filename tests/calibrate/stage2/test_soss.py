"""Orders of SOSS that overlap: the solve by column against what went in, and the promises of every step."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import flags, pipeline, stream
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references.bkg import Bkg
from uptheramp.calibrate.references.flat import Flat
from uptheramp.calibrate.references.pastasoss import Pastasoss
from uptheramp.calibrate.references.specprofile import Specprofile
from uptheramp.calibrate.stage2.soss_extract import Extract1dParams, Extract1dRefs, Typical, box, extract_1d
from uptheramp.calibrate.stage2.soss_sky import BkgSubtractParams, BkgSubtractRefs, bkg_subtract, learn_sky
from uptheramp.calibrate.stage2.table import DEFAULTS, TABLES
from uptheramp.calibrate.state import Rates, Spectra, take

HEIGHT, WIDTH, N = 48, 12, 5
ALONE = 8  # from this column on there is one order
STEPS = TABLES["recommended"]["NIS_SOSS"]
OPTIMAL, BOX = Extract1dParams(), Extract1dParams(method="box", soss_width=9.0)
PLAIN = DEFAULTS["jwst_3_0"]["NIS_SOSS"]["extract_1d"]


class Soss:
    """Two orders ten pixels apart with wide wings, the second ends at column ALONE; a level in each column."""

    def __init__(self, dtype=np.float64, noise=0.0, integrations=N):
        rng = np.random.default_rng(3)
        row, column = np.arange(HEIGHT)[:, None], np.arange(WIDTH)
        self.trace = np.stack([18 - 0.3 * column, 28 + 0.2 * column])
        distance = row - self.trace[:, None]
        self.profile = 0.8 * np.exp(-0.5 * (distance / 3) ** 2) / 7.5 + 0.2 * 4 / np.pi / (16 + distance**2)
        self.profile[1][:, ALONE:] = 0
        self.flux = np.stack([900 + 20.0 * column, 300 + 10.0 * column])[None] * (
            1 - 0.02 * np.arange(integrations)[:, None, None] * np.array([[1.0], [1.6]])
        )
        self.level = 3 + rng.normal(size=(integrations, 1, WIDTH))
        clean = np.einsum("kyx,nkx->nyx", self.profile, self.flux) + self.level
        self.variance = np.broadcast_to(clean[0] + 25, clean.shape)
        data = clean + noise * np.sqrt(self.variance) * rng.normal(size=clean.shape)
        zero = np.zeros_like(data)
        parts = (data, self.variance - 25, 25 + zero, zero)
        self.state = Rates(*(p.astype(dtype) for p in parts), np.zeros(data.shape, np.uint32), np.arange(integrations))
        outside = np.where(np.arange(WIDTH) < ALONE, 0, np.nan) * np.array([[0.0], [1.0]])
        outside[0] = 0
        wavelength = np.stack([2 - 0.01 * column, 1 - 0.01 * column]) + outside
        self.library = {
            "pastasoss": Pastasoss(
                *((self.trace + outside).astype(dtype), wavelength.astype(dtype)), np.ones(2), np.ones((2, 2)), (1, 2)
            ),
            "specprofile": Specprofile(self.profile.astype(dtype), (1, 2)),
            "typical": Typical(self.variance[0].astype(dtype)),
        }

    @property
    def refs(self):
        return Extract1dRefs(**self.library)

    def flagged(self, *where):
        dq, data = self.state.dq.copy(), self.state.data.copy()
        for at in where:
            dq[at], data[at] = flags.DO_NOT_USE, np.nan
        return replace(self.state, dq=dq, data=data)


def fluxes(spectra):
    return np.asarray(spectra.flux).reshape(len(spectra.flux), 2, WIDTH)


def bad(state, fraction=0.05, seed=1):
    rng = np.random.default_rng(seed)
    hit = rng.random(state.data.shape) < fraction
    return replace(state, dq=np.where(hit, flags.DO_NOT_USE, 0).astype(np.uint32), data=np.where(hit, 1e6, state.data))


@pytest.mark.parametrize("params", [OPTIMAL, BOX], ids=["optimal", "box"])
def test_orders_come_apart_exactly_with_any_pixels_missing(params):
    made = Soss()
    out, _ = extract_1d(bad(made.state), made.refs, params)
    found = fluxes(out)
    inside = 1.0
    if params.method == "box":
        inside = (np.asarray(box(made.trace, 9.0, HEIGHT)) * made.profile).sum(1)
    expected = made.flux * inside
    np.testing.assert_allclose(found[:, 0], expected[:, 0], rtol=1e-9)
    np.testing.assert_allclose(found[:, 1, :ALONE], expected[:, 1, :ALONE], rtol=1e-9)
    assert np.isnan(found[:, 1, ALONE:]).all()
    assert (np.asarray(out.dq).reshape(found.shape)[:, 1, ALONE:] & flags.NON_SCIENCE).all()
    np.testing.assert_array_equal(out.order, np.repeat([1, 2], WIDTH))


@pytest.mark.parametrize("params", [OPTIMAL, BOX], ids=["optimal", "box"])
def test_a_flux_is_estimated_where_a_pixel_of_its_column_is_lost_and_nowhere_by_rounding(params):
    made = Soss(np.float32)
    state = made.flagged((1, 18, 3))  # in the core of the first order
    for given in (made.state, state):
        out, _ = jax.jit(extract_1d)(given, made.refs, params)
        estimated = (np.asarray(out.dq).reshape(N, 2, WIDTH) & flags.FLUX_ESTIMATED) != 0
        expected = np.zeros_like(estimated)
        expected[1, 0, 3] = given is state
        np.testing.assert_array_equal(estimated[:, 0], expected[:, 0])
    assert not estimated[0, :, :ALONE].any()


def test_a_column_of_one_order_gets_the_optimal_extraction():
    made = Soss(noise=1.0)
    out, _ = extract_1d(made.state, made.refs, Extract1dParams(background="none"))
    at = ALONE + 1
    profile, variance, data = made.profile[0][:, at], made.variance[0][:, at], made.state.data[:, :, at]
    weight = profile / variance / np.sum(profile**2 / variance)  # Horne 1986
    np.testing.assert_allclose(fluxes(out)[:, 0, at], data @ weight, rtol=1e-9)
    total = np.asarray(out.var_poisson + out.var_rnoise).reshape(N, 2, WIDTH)[:, 0, at]
    np.testing.assert_allclose(total, 1 / np.sum(profile**2 / variance), rtol=1e-9)


@pytest.mark.parametrize("params", [OPTIMAL, BOX, PLAIN], ids=["optimal", "box", "plain box"])
def test_errors_and_covariance_are_those_of_many_draws(params):
    made = Soss(integrations=4000)
    rng = np.random.default_rng(8)
    noise = np.sqrt(made.variance) * rng.normal(size=made.variance.shape)
    dq = np.broadcast_to(bad(made.state, 0.1).dq[:1], noise.shape)
    state = replace(made.state, data=noise, dq=dq)
    out, _ = eqx.filter_jit(extract_1d)(state, made.refs, params)
    found = fluxes(out)[..., :ALONE]
    stated = np.asarray(out.var_poisson + out.var_rnoise).reshape(-1, 2, WIDTH)[0, :, :ALONE]
    np.testing.assert_allclose(found.var(0) / stated, 1, atol=0.1)
    scale = np.sqrt(stated[0] * stated[1])
    np.testing.assert_array_equal(out.pairs, np.stack([np.arange(WIDTH), WIDTH + np.arange(WIDTH)], 1))
    expected = np.mean(found[:, 0] * found[:, 1], axis=0)
    np.testing.assert_allclose(np.asarray(out.covariance)[0, :ALONE] / scale, expected / scale, atol=0.06)


def test_weights_do_not_follow_the_noise_of_an_integration():
    made = Soss(noise=1.0)
    other = replace(made.state, var_poisson=made.state.var_poisson * np.linspace(0.5, 2, HEIGHT)[:, None])
    one, two = (extract_1d(state, made.refs, OPTIMAL)[0] for state in (made.state, other))
    np.testing.assert_array_equal(one.flux, two.flux)


def whole_table(made, state):
    """State and references of all steps of the table, with a sky and a flat."""
    shape = state.data.shape[-2:]
    rng = np.random.default_rng(5)
    dtype = state.data.dtype
    library = {k: v for k, v in made.library.items() if k != "typical"}
    library["flat"] = Flat(
        rng.uniform(0.9, 1.1, shape).astype(dtype), np.full(shape, 0.01, dtype), np.zeros(shape, np.uint32)
    )
    library["bkg"] = Bkg((1 + 0.1 * rng.random((2, *shape))).astype(dtype))
    return stream.learned(STEPS, state, library, {})


def test_pure_jitted_and_float32(same):
    made = Soss(np.float32, noise=1.0)
    state = made.flagged((0, 20, 3), (4, 11, 2))
    library = whole_table(made, state)
    eager, _ = pipeline.run(STEPS, state, library, {})
    jitted, _ = pipeline.compiled(STEPS, state, library, {})
    same(jitted, eager, rtol=1e-5)
    assert isinstance(eager, Spectra)
    floats = [leaf.dtype for leaf in jax.tree.leaves(eager) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    assert set(floats) == {np.dtype(np.float32)}
    double = Soss(noise=1.0)
    exact, _ = pipeline.run(STEPS, double.flagged((0, 20, 3), (4, 11, 2)), whole_table(double, double.state), {})
    np.testing.assert_allclose(eager.flux, exact.flux, rtol=2e-3)  # the sky is chosen by percentiles


def test_chunks_equal_the_whole(same):
    made = Soss(np.float32, noise=1.0)
    library = whole_table(made, made.state)
    whole, _ = pipeline.compiled(STEPS, made.state, library, {})
    for first, last in ((0, 2), (2, 5)):
        part, _ = pipeline.compiled(STEPS, take(made.state, slice(first, last)), library, {})
        present = [name for name in Spectra.per_integration if getattr(whole, name) is not None]
        for name in present:
            same(np.asarray(getattr(part, name)), np.asarray(getattr(whole, name))[first:last], rtol=1e-5)


@pytest.mark.parametrize("params", [OPTIMAL, BOX, PLAIN], ids=["optimal", "box", "plain box"])
def test_gradients_equal_finite_differences(params):
    made = Soss(noise=1.0)
    state = made.flagged((0, 20, 3), *[(2, y, 5) for y in range(HEIGHT)])  # a column without a usable pixel
    rng = np.random.default_rng(5)
    starts = (state.data, made.profile, made.library["typical"].variance, params.soss_width)
    directions = [rng.normal(size=np.shape(start)) for start in starts]
    directions[1] *= 1e-3 * (made.profile > 0)

    def along(t):
        data, profile, variance, width = (x + s * d for x, s, d in zip(starts, t, directions, strict=True))
        refs = replace(made.refs, specprofile=Specprofile(profile, (1, 2)), typical=Typical(variance))
        out, _ = extract_1d(replace(state, data=data), refs, replace(params, soss_width=width))
        tilt = 1 + 0.1 * np.arange(out.flux.size).reshape(out.flux.shape)
        planes = (out.flux, out.var_poisson, out.covariance)
        scalars = [jnp.sum(jnp.where(jnp.isfinite(p), p, 0) * tilt[:, : p.shape[1]]) for p in planes]
        return sum(scalars)

    slopes = jax.jit(jax.grad(along))(jnp.zeros(4))
    assert np.isfinite(slopes).all()
    along = jax.jit(along)
    for k in range(4):
        h = 1e-5 * np.eye(4)[k]
        numerical = float(along(h) - along(-h)) / 2e-5
        assert float(slopes[k]) == pytest.approx(numerical, rel=2e-5, abs=1e-6)
    assert abs(slopes[0]) > 1e-3


def test_one_pixel_and_one_value_of_a_profile_move_the_flux_as_their_derivatives_say():
    made = Soss(noise=1.0)

    def flux(pixel, share):
        refs = replace(made.refs, specprofile=Specprofile(jnp.asarray(made.profile).at[0, 16, 4].add(share), (1, 2)))
        out, _ = extract_1d(
            replace(made.state, data=jnp.asarray(made.state.data).at[1, 19, 4].add(pixel)), refs, OPTIMAL
        )
        return out.flux[1, 4]

    for k, h in ((0, 1e-2), (1, 1e-5)):
        slope = float(jax.grad(flux, k)(0.0, 0.0))
        ends = [float(flux(*(np.eye(2)[k] * side * h))) for side in (1, -1)]
        assert slope == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6)
        assert abs(slope) > 0.1


def test_orders_of_different_references_are_refused():
    made = Soss()
    refs = replace(made.refs, specprofile=Specprofile(made.profile, (1, 3)))
    with pytest.raises(InputError, match="same orders"):
        extract_1d(made.state, refs, OPTIMAL)
    with pytest.raises(InputError, match="give one of optimal, box"):
        Extract1dParams(method="best")


def sky_exposure(rng, shape=(256, 2048)):
    """A star on a sky with a step at column 700, brighter left of it than the template by 20 %, right by 10 %."""
    row, column = np.mgrid[: shape[0], : shape[1]]
    template = np.where(column < 700, 1.0, 1.6) * (1 + 0.1 * column / 2048)
    star = 3e3 * np.exp(-0.5 * ((row - 60) / 8.0) ** 2) / 20
    factor = np.where(column < 700, 1.2, 1.1)
    data = star + factor * template + rng.normal(size=(4, *shape)) * 0.02
    return data.astype(np.float32), template.astype(np.float32), (factor * template).astype(np.float32)


def test_the_sky_is_found_on_both_sides_of_its_step():
    data, template, sky = sky_exposure(np.random.default_rng(1))
    zero = np.zeros_like(data)
    state = Rates(data, zero + 1, zero + 1, zero, np.zeros(data.shape, np.uint32), np.arange(4))
    refs = BkgSubtractRefs(Bkg(np.stack([template[:, ::-1], template])), None)
    found = learn_sky(state, refs, BkgSubtractParams())
    np.testing.assert_allclose(found.data, sky, rtol=0.01)
    out, _ = bkg_subtract(state, replace(refs, sky=found), BkgSubtractParams())
    np.testing.assert_array_equal(out.data, data - found.data)
    neutral = BkgSubtractRefs(Bkg(np.zeros((1, *template.shape), np.float32)), None)
    assert not np.any(learn_sky(state, neutral, BkgSubtractParams()).data)


@pytest.mark.peer
def test_the_official_sky_is_the_same():
    official = pytest.importorskip("jwst.background.background_sub_soss")
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    data, template, _ = sky_exposure(np.random.default_rng(1))
    model = datamodels.CubeModel(data=data.copy())
    model.dq = np.zeros(data.shape, np.uint32)
    reference = datamodels.SossBkgModel(data=template[None])
    subtracted = official.subtract_soss_bkg(model, reference, 35.0, [25.0, 50.0])
    zero = np.zeros_like(data)
    state = Rates(data, zero + 1, zero + 1, zero, np.zeros(data.shape, np.uint32), np.arange(4))
    refs, official_sky = BkgSubtractRefs(Bkg(template[None]), None), (data - subtracted.data)[0]
    pooled = learn_sky(state, refs, BkgSubtractParams(images="all"))
    np.testing.assert_allclose(np.asarray(pooled.data), official_sky, rtol=1e-4, atol=1e-5 * np.ptp(data))
    # the median image has less noise by which pixels are chosen
    found = learn_sky(state, refs, BkgSubtractParams())
    np.testing.assert_allclose(np.asarray(found.data), official_sky, rtol=0.02)


@pytest.mark.peer
def test_the_official_box_is_the_same():
    official = pytest.importorskip("jwst.extract_1d.soss_extract.soss_boxextract")
    made = Soss(noise=1.0)
    out, _ = extract_1d(made.state, made.refs, PLAIN)
    ours = fluxes(out)
    for k in range(2):
        weights = official.get_box_weights(
            np.nan_to_num(made.trace[k]), PLAIN.soss_width, (HEIGHT, WIDTH), cols=range(WIDTH)
        )
        image, error = made.state.data[2], np.sqrt(made.variance[0])
        _, flux, spread, _ = official.box_extract(image, error, np.zeros(image.shape, bool), weights)
        stated = np.sqrt(np.asarray(out.var_poisson + out.var_rnoise).reshape(ours.shape))[2, k]
        at = np.isfinite(ours[2, k])
        np.testing.assert_allclose(ours[2, k][at], flux[at], rtol=1e-9)
        np.testing.assert_allclose(stated[at], spread[at], rtol=3e-3)  # it takes the part of an edge pixel unsquared
