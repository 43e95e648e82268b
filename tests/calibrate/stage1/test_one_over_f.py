"""Levels of lines beside a scene: as good as the noise allows, and blind to whatever a transit does to the scene."""

from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import line_fit
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage1.line_template import Light
from uptheramp.calibrate.stage1.one_over_f import METHODS, OneOverFParams, OneOverFRefs, one_over_f
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.stream import learned

LINES, FAST, OUTPUTS = 12, 32, 2
ROWS = line_fit.Lines(-1, OUTPUTS)
AXES = {"each line": (-1,), "each position": (-2,), "all": (-2, -1), "none": ()}


def trace(lines=LINES, fast=FAST, along=True, peak=2000.0):
    """A tilted Gaussian trace along the fast axis, or across it, with ends that stay dark."""
    line, position = np.mgrid[:lines, :fast]
    u, v, n = (position, line, fast) if along else (line, position, lines)
    centre = 0.4 * (fast + lines - n) + 2 * u / n
    return peak * np.exp(-0.5 * ((v - centre) / 1.2) ** 2) * ((u > n // 8) & (u < n - n // 8))


def drift_covariance(lines=LINES, outputs=OUTPUTS):
    lag = np.abs(np.subtract.outer(np.arange(lines), np.arange(lines)))
    return np.kron(4 * np.exp(-lag / 6), np.ones((outputs, outputs))) + np.kron(np.exp(-lag / 2), np.eye(outputs))


@pytest.mark.parametrize("axes", AXES.values(), ids=AXES)
def test_levels_are_recovered_to_their_least_squares_error(axes):
    """chi^2 of the errors under G = (A + C^-1)^-1 is that of the number of levels, scales unknown or not."""
    rng = np.random.default_rng(3)
    template = trace() + 5.0
    weight = 1 / (40 + template)
    weight[2, 7] = weight[8, :FAST] = 0  # a bad pixel, and a line that nothing is seen of
    covariance = drift_covariance()
    normal = line_fit.normal(template, weight, axes, ROWS)
    response = np.asarray(line_fit.response(normal, jnp.asarray(covariance)))
    draws, count = 400, LINES * OUTPUTS
    true = rng.multivariate_normal(np.zeros(count), covariance, draws)
    sets = {(-1,): (LINES, 1), (-2,): (1, FAST), (-2, -1): (1, 1), (): (1, 1)}[axes]
    scale = 1 + 0.02 * rng.standard_normal((draws, *sets)) if axes else np.ones((draws, 1, 1))
    noise = rng.standard_normal((draws, LINES, FAST)) / np.sqrt(np.where(weight > 0, weight, np.inf))
    image = (scale - 1) * template + ROWS.spread(true.reshape(-1, LINES, OUTPUTS), template.shape) + noise
    good = np.broadcast_to(weight > 0, (LINES, FAST))
    good = np.broadcast_to(good, image.shape)
    found = line_fit.levels(image, good, template, weight, response, axes, ROWS)
    error = np.asarray(found).reshape(draws, count) - true
    chi2 = np.einsum("di,ij,dj->d", error, np.linalg.inv(response), error)
    assert abs(chi2.mean() - count) < 4 * np.sqrt(2 * count / draws)
    np.testing.assert_allclose(response, response.T, atol=1e-10)


def levels(image, good, template, weight, response, axes):
    """Levels of one image."""
    return line_fit.levels(image[None], good[None], template, weight, response, axes, ROWS)[0]


@pytest.mark.parametrize("axes", [(-1,), (-2,), (-2, -1)])
def test_scales_that_are_free_leave_no_level(axes):
    """Under any scales, and with pixels missing from single images, the template alone gives levels of zero."""
    rng = np.random.default_rng(4)
    template, weight = trace() + 5.0, 1 / (40 + trace())
    response = line_fit.response(line_fit.normal(template, weight, axes, ROWS), jnp.asarray(drift_covariance()))
    sets = {(-1,): (LINES, 1), (-2,): (1, FAST), (-2, -1): (1, 1)}[axes]
    image = (rng.uniform(0.5, 1.5, sets) - 1) * template
    good = rng.random(image.shape) > 0.1
    image = np.where(good, image, 1e4)
    level = levels(image, good, template, weight, response, axes)
    np.testing.assert_allclose(level, 0, atol=1e-9)


@pytest.mark.parametrize("axes", AXES.values(), ids=AXES)
def test_columns_that_are_read_as_lines_are_rows_turned(axes):
    rng = np.random.default_rng(6)
    template, weight, columns = trace() + 5.0, 1 / (40 + trace()), line_fit.Lines(-2, OUTPUTS)
    turned = tuple(-3 - a for a in axes)
    normal = line_fit.normal(template, weight, axes, ROWS)
    np.testing.assert_allclose(line_fit.normal(template.T, weight.T, turned, columns), normal, atol=1e-12)
    response = line_fit.response(normal, jnp.asarray(drift_covariance()))
    image, good = rng.standard_normal((2, LINES, FAST)), rng.random((2, LINES, FAST)) > 0.1
    level = line_fit.levels(image, good, template, weight, response, axes, ROWS)
    other = [np.swapaxes(x, -1, -2) for x in (image, good, template, weight)]
    found = line_fit.levels(*other, response, turned, columns)
    np.testing.assert_allclose(found, level, atol=1e-12)
    np.testing.assert_array_equal(
        columns.spread(level, (FAST, LINES)), ROWS.spread(level, (LINES, FAST)).swapaxes(1, 2)
    )


def test_the_noise_of_a_template_takes_no_light():
    """A scale that the noise of the template makes too small leaves light in the rows of the trace.

    What is left beyond the first order of the noise is less than a tenth of that.
    """
    rng = np.random.default_rng(8)
    light, weight, noise = 0.1 * trace(), np.full((LINES, FAST), 1 / 400), np.full((LINES, FAST), 400 / 24)
    response = line_fit.response(line_fit.normal(light, weight, (-2,), ROWS), 4.0 * jnp.eye(LINES * OUTPUTS))
    template = light + rng.standard_normal((300, LINES, FAST)) * np.sqrt(noise)

    def taken(noise):
        level = np.array([find(t, light - t, noise) for t in template])
        by_template = (np.asarray(ROWS.spread(level, light.shape)) * light).sum((1, 2)) / (light**2).sum()
        return by_template.mean(), by_template.std() / np.sqrt(len(level))

    @jax.jit
    def find(template, image, noise):
        good = jnp.ones((1, *image.shape), bool)
        return line_fit.levels(image[None], good, template, weight, response, (-2,), ROWS, noise)[0]

    (left, _), (before, error) = taken(noise), taken(0.0)
    assert before > 10 * error
    assert abs(left) < 0.1 * before


def test_missing_pixels_do_not_pull_the_levels():
    """What the rounds of filling leave is far below the error of a level: against weights of zero in the fit itself."""
    rng = np.random.default_rng(5)
    template, weight = trace(along=False) + 5.0, 1 / (40 + trace(along=False))
    covariance = jnp.asarray(drift_covariance())
    response = line_fit.response(line_fit.normal(template, weight, (-1,), ROWS), covariance)
    good = rng.random(template.shape) > 0.05
    direct = line_fit.response(line_fit.normal(template, weight * good, (-1,), ROWS), covariance)
    level = rng.multivariate_normal(np.zeros(LINES * OUTPUTS), covariance).reshape(LINES, OUTPUTS)
    image = ROWS.spread(level, template.shape) + rng.standard_normal(template.shape) / np.sqrt(weight)
    filled = levels(image, good, template, weight, response, (-1,))
    exact = levels(image, good, template, weight * good, direct, (-1,))
    error = np.sqrt(np.diag(direct)).reshape(level.shape)
    assert (np.abs(filled - exact) < 0.02 * error).all()


READ_DN, GAIN, GROUPS, NINTS, SKY_DN = 6.0, 2.0, 4, 40, 3.0
SHAPE = 16, 48
ORIENTATIONS = {
    "lines across the dispersion": (2, 1, 1),
    "lines along it, two outputs": (1, 2, 2),
}  # fast, slow, outputs
DEPTH = 0.02 + 0.01 * np.sin(np.arange(SHAPE[1]) / 5)  # by column
INSIDE, OUTSIDE = slice(NINTS // 3, 2 * NINTS // 3), np.r_[: NINTS // 3, 2 * NINTS // 3 : NINTS]
JOINT = OneOverFParams(method="joint")


class Seen(NamedTuple):
    """An exposure with a tilted trace along x in transit: what it has of drift, and the same without noise or drift."""

    ramps: Ramps
    drift_dn: np.ndarray
    clean: Ramps
    refs: OneOverFRefs


def seen(exposure, orientation, seed=0):
    fast_axis, slow_axis, outputs = ORIENTATIONS[orientation]
    rng = np.random.default_rng(seed)
    case = exposure(nints=3, ngroups=GROUPS)
    readout = replace(case.ramps.readout, fast_axis=fast_axis, slow_axis=slow_axis, outputs=outputs)
    brightness = np.ones((NINTS, SHAPE[1]))
    brightness[INSIDE] -= DEPTH
    light = trace(*SHAPE, peak=400.0) * brightness[:, None, :] + SKY_DN  # DN a group
    light = np.repeat(light[:, None], GROUPS, 1)
    lines, width = SHAPE if fast_axis == 1 else SHAPE[::-1]
    unit = drift_covariance(lines, outputs)
    drift = rng.multivariate_normal(np.zeros(len(unit)), unit, (NINTS, GROUPS)).reshape(NINTS, GROUPS, lines, outputs)
    drift = np.repeat(drift, width // outputs, -1)
    drift = drift if fast_axis == 1 else drift.swapaxes(-1, -2)
    noisy = (rng.poisson(light * GAIN) / GAIN).cumsum(1) + rng.normal(0, READ_DN, light.shape) + drift

    def ramps(data):
        return replace(
            case.ramps,
            data=jnp.asarray(data, jnp.float64),
            groupdq=jnp.zeros(data.shape, jnp.uint8),
            pixeldq=jnp.zeros(SHAPE, jnp.uint32),
            integration=jnp.arange(NINTS),
            readout=readout,
        )

    gain = replace(case.library["gain"], data=np.full(SHAPE, GAIN))
    readnoise = replace(case.library["readnoise"], data=np.full(SHAPE, READ_DN * 2**0.5))
    extract1d = Extract1d(np.array([3.5]), np.array([11.5]), np.zeros((0, 2, 1)), 1)
    return Seen(ramps(noisy), drift, ramps(light.cumsum(1)), OneOverFRefs(gain, readnoise, extract1d, None))


def known(ramps, refs, params):
    library = {name: r for name, r in vars(refs).items() if name != "line_template"}
    return learned((one_over_f,), ramps, library, {"one_over_f": params})["line_template"]


@pytest.fixture(scope="module", params=ORIENTATIONS)
def case(request, exposure):
    """The exposure, its references with what the joint fit learns of it, and the orientation."""
    s = seen(exposure, request.param)
    return s._replace(refs=replace(s.refs, line_template=known(s.ramps, s.refs, JOINT)))


@eqx.filter_jit
def cleaned(ramps, refs, params):
    return one_over_f(ramps, refs, params)[0].data


def test_drift_is_taken_out_to_its_error(case):
    """What is left of known levels after one difference has the variance that the response promises.

    Over 40 integrations of some 16 levels that are independent: 4 standard errors are 22 %.
    """
    data = np.asarray(cleaned(case.ramps, case.refs, JOINT))
    drift = case.drift_dn[:, 1] - case.drift_dn[:, 0]
    left = data[:, 1] - np.asarray(case.ramps.data)[:, 1] + drift
    promised = np.diag(np.asarray(case.refs.line_template.response)).mean()
    assert (left**2).mean() == pytest.approx(promised, rel=0.22)
    assert promised < 0.5 * (drift**2).mean()


def test_a_transit_stays_in_the_light(case):
    """Under a depth that differs from column to column a joint fit finds no levels; one scale for the image does."""
    light = np.diff(np.asarray(case.clean.data)[0], axis=0)
    template = replace(
        case.refs.line_template, light=Light(jnp.asarray(light), jnp.asarray(light.mean(0) - SKY_DN), jnp.zeros(SHAPE))
    )
    refs = replace(case.refs, line_template=template)
    lost = {m: np.abs(cleaned(case.clean, refs, OneOverFParams(method=m)) - case.clean.data).max() for m in METHODS}
    dip = DEPTH.max() * 400 * (GROUPS - 1)
    assert lost["joint"] < 1e-10 * dip
    assert min(lost["template"], lost["background"]) > 1e-4 * dip


def test_depth_moves_by_less_than_its_error(case, exposure):
    """On another exposure, without drift: what the joint fit takes for drift is noise, and averages out."""
    (orientation,) = (n for n, (fast, *_) in ORIENTATIONS.items() if fast == case.ramps.readout.fast_axis)
    other = seen(exposure, orientation, seed=9)
    ramps = replace(other.ramps, data=other.ramps.data - other.drift_dn)

    def depth(data):
        light = np.asarray(data[:, -1] - data[:, 0])[:, 3:12].sum((1, 2))
        error = light[OUTSIDE].std() / light.mean() * np.sqrt(1 / len(light[INSIDE]) + 1 / len(OUTSIDE))
        return 1 - light[INSIDE].mean() / light[OUTSIDE].mean(), error

    (before, error), (after, _) = depth(ramps.data), depth(cleaned(ramps, case.refs, JOINT))
    assert abs(after - before) < error


def test_flagged_pixels_padding_and_single_groups(case):
    """Values under a flag are not looked at; padding and exposures of one group stay as they are."""
    hit = jnp.zeros(case.ramps.data.shape, bool).at[3, 2, 5, 20].set(True)
    groupdq = jnp.where(hit, flags.JUMP_DET, 0).astype(jnp.uint8).at[7].set(flags.DO_NOT_USE)
    ramps = replace(case.ramps, groupdq=groupdq)
    data = np.asarray(cleaned(ramps, case.refs, JOINT))
    other = cleaned(replace(ramps, data=ramps.data.at[3, 2:, 5, 20].add(3e4)), case.refs, JOINT)
    np.testing.assert_allclose(other - data, 3e4 * np.asarray(hit).cumsum(1), atol=1e-6)
    np.testing.assert_array_equal(data[7], ramps.data[7])
    one = replace(
        ramps, readout=replace(ramps.readout, ngroups=1), data=ramps.data[:, :1], groupdq=ramps.groupdq[:, :1]
    )
    assert one_over_f(one, replace(case.refs, line_template=None), JOINT)[0] is one


def test_gradient_equals_finite_differences(case):
    """With respect to the ramps, the template held: the step is linear in them."""
    few = replace(case.ramps, **{n: getattr(case.ramps, n)[:1] for n in ("data", "groupdq", "integration")})
    weight = np.random.default_rng(1).standard_normal(few.data.shape)

    @jax.jit
    def total(data):
        return (weight * one_over_f(replace(few, data=data), case.refs, JOINT)[0].data).sum()

    gradient, step = jax.grad(total)(few.data), 0.5
    for where in ((0, 1, 6, 20), (0, 3, 2, 40), (0, 0, 8, 3)):
        apart = total(few.data.at[where].add(step)) - total(few.data.at[where].add(-step))
        np.testing.assert_allclose(gradient[where], apart / (2 * step), rtol=1e-6, atol=1e-8)


def test_unknown_method_is_refused_in_one_line(exposure):
    s = seen(exposure, "lines along it, two outputs")
    with pytest.raises(InputError, match=r"one_over_f.method=median: expected background, template or joint"):
        known(s.ramps, s.refs, OneOverFParams(method="median"))
