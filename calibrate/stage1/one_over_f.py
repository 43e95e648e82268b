"""Take the 1/f noise of the read-out out of every group without taking light: levels of lines beside a template.

The steps of other pipelines that this one unites and what each leaves to be desired: docs/one_over_f_spectra.md.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.kernels import aperture, line_fit, order
from uptheramp.calibrate.references.dark import Dark
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.stage1 import scene, side_kriging
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step

METHODS = ("background", "template", "joint")
FREE = 1e4  # variance of a level that nothing is known of, in terms of what is known
TEMPLATE_PASSES = 2
FEWEST_FRAMES = 3  # from which a sample tells the noise
NOISY = 2.0  # times the expected variance: beyond, a pixel has the weight that it shows in the sample


class LineTemplate(eqx.Module):
    """What the step learns of an exposure.

    `difference` is typical of two neighbouring groups (DN; NaN where unknown), `background` what of it is no light of
    the star; `weight` of the pixels in 1/DN^2; `response` (DN^2) turns weighted sums over lines and outputs to levels.
    """

    difference: Float[Array, "difference y x"]
    background: Float[Array, "difference"]
    weight: Float[Array, "y x"]
    response: Float[Array, "level level"]


class OneOverFRefs(eqx.Module):
    """What one_over_f takes from the library; the template is learned on a sample of the exposure."""

    gain: Gain
    readnoise: ReadNoise
    dark: Dark | None
    extract1d: Extract1d | None
    line_template: LineTemplate | None


class OneOverFParams(eqx.Module):
    """How light is told from noise.

    `method`: "background", lines are measured where the draft rates show no light (up to `n_sigma` deviations) and, if
    they run across the dispersion, beside the aperture, on what the unscaled template leaves; "template", on all
    pixels, the template of the whole image scaled by one factor, the light curve; "joint", on all pixels, together with
    one scale for each dispersion element. With `kriging` the levels of neighbouring lines tell of each other, as
    strongly as a sample shows.
    """

    method: str = eqx.field(static=True, default="joint")
    n_sigma: float | jax.Array = 2.0
    kriging: bool = eqx.field(static=True, default=True)


class _Sample(NamedTuple):
    """Differences of the sample in the order of the read-out: what the template leaves of them, and what is usable."""

    rest: Float[Array, "frame line fast"]
    good: Bool[Array, "frame line fast"]


def learn_template(sample: Ramps, refs: OneOverFRefs, params: OneOverFParams) -> LineTemplate | None:
    """Template, weights and response from a sample of the exposure; None where there is one group.

    The template is the median difference of each pixel, brought to one brightness. The variance of a pixel is that of
    reads and photons, scaled to what the unlit pixels show, or what the pixel itself shows where that is more.

    Raises
    ------
    InputError
        If there is no such method.
    """
    if params.method not in METHODS:
        raise InputError(f"one_over_f.method={params.method}: expected {', '.join(METHODS[:-1])} or {METHODS[-1]}")
    r = sample.readout
    if r.ngroups == 1:
        return None
    difference, good = _differences(sample, r)
    unlit = _unlit(sample, refs, params)
    variance, typical = _noise_and_template(difference, good, sample, refs)
    background = _background(typical, unlit)
    template = jnp.where(jnp.isfinite(typical), typical - background[:, None, None], 0)
    weight = aperture.ratio(_science(sample, r).astype(variance.dtype), variance)

    axes = _axes("joint", r, refs.extract1d, sample.data.shape[-2:])
    good = good & jnp.isfinite(typical)
    rest = jnp.where(good, difference - jnp.nan_to_num(typical), 0)
    rest = rest - line_fit.part(rest, template, weight * good, axes)
    frames = _Sample(*(x.reshape(-1, *x.shape[2:]) for x in (rest, good)))
    weight = _measured(frames, weight, unlit, _outputs(r))
    covariance = _covariance(frames, weight * unlit, _outputs(r), params.kriging)

    used = weight * unlit if params.method == "background" else weight
    axes = _axes(params.method, r, refs.extract1d, sample.data.shape[-2:])
    normal = line_fit.normal(template.mean(0).astype(jnp.float64), used.astype(jnp.float64), axes, _outputs(r))
    response = line_fit.response(normal, covariance)
    return LineTemplate(_turned(typical, r), background, _turned(used, r), response.astype(sample.data.dtype))


@step(
    cite="uptheramp; Radica et al. 2023 (scaled template), Espinoza et al. 2023 (joint fit of lines)",
    learned="line_template",
    learn=learn_template,
)
def one_over_f(state: Ramps, refs: OneOverFRefs, params: OneOverFParams) -> tuple[Ramps, None]:
    """Subtract from every difference of groups the level of each line (and output) of the read-out.

    The level is the best linear estimate of kernels/line_fit.py; it holds nothing of the star under the scales that the
    method leaves free. Single groups stay as they are, and so does the first group.
    """
    template = refs.line_template or learn_template(*jax.lax.stop_gradient((state, refs)), params)
    if template is None:
        return state, None
    r = state.readout
    axes, outputs = _axes(params.method, r, refs.extract1d, state.data.shape[-2:]), _outputs(r)
    difference, good = _differences(state, r)
    typical, weight = _turned(template.difference, r), _turned(template.weight, r)
    known = jnp.isfinite(typical)
    star = jnp.where(known, typical - template.background[:, None, None], 0)
    response = template.response.astype(jnp.float64)
    good = good & known & (weight > 0)

    def integration(x: tuple[Array, Array]) -> Float[Array, "difference line output"]:
        def one(y: tuple[Array, Array, Array]) -> Float[Array, "line output"]:
            image, admitted, light = y
            return line_fit.levels(image, admitted, light, weight, response, axes, outputs)

        return jax.lax.map(one, (*x, star))

    level = jax.lax.map(integration, (jnp.where(good, difference - typical, 0), good))
    noise = _turned(line_fit.spread(jnp.cumsum(level, 1), difference.shape[-1]), r)
    return eqx.tree_at(lambda s: s.data, state, jnp.asarray(state.data).at[:, 1:].add(-noise)), None


def _turned(image: Array, r: Readout) -> Array:
    """From the image to the order of the read-out, the fast axis last, and back."""
    return jnp.swapaxes(image, -1, -2) if abs(r.fast_axis) == 2 else image


def _outputs(r: Readout) -> int:
    """Stretches of a line that are read at once; interleaved outputs share one level."""
    return r.outputs if r.reference_correction == "amplifiers" else 1


def _axes(method: str, r: Readout, extract1d: Extract1d | None, shape: tuple[int, int]) -> tuple[int, ...]:
    """Over which axes of the read-out one scale of the template extends; see kernels/line_fit.py.

    Without an aperture the light is taken as dispersed along the longer side.
    """
    if method == "background":
        return ()
    if method == "template":
        return (-2, -1)
    dispersion = (1 if shape[1] >= shape[0] else 2) if extract1d is None else extract1d.dispersion_axis
    return (-1,) if abs(r.slow_axis) == dispersion else (-2,)


def _differences(state: Ramps, r: Readout) -> tuple[Array, Bool[Array, "integration difference line fast"]]:
    """Differences of neighbouring groups, and which are free of flags."""
    bad = (state.groupdq & (flags.DO_NOT_USE | flags.SATURATED)) != 0
    jumped = (state.groupdq[:, 1:] & flags.JUMP_DET) != 0
    difference = jnp.diff(state.data, axis=1)
    good = ~(bad[:, 1:] | bad[:, :-1] | jumped) & jnp.isfinite(difference)
    return _turned(difference, r), _turned(good, r)


def _science(state: Ramps, r: Readout) -> Bool[Array, "line fast"]:
    """Pixels that see light; what reference pixels say refpix has heard."""
    return _turned((state.pixeldq & (flags.DO_NOT_USE | flags.REFERENCE_PIXEL)) == 0, r)


def _unlit(sample: Ramps, refs: OneOverFRefs, params: OneOverFParams) -> Bool[Array, "line fast"]:
    """Pixels without light in the mean draft rate, and outside the aperture if the lines run across it.

    Along the dispersion the aperture would take whole lines, with the ends that no light reaches.
    """
    _, mean = scene.draft(sample, refs.gain, refs.readnoise, refs.dark)
    dark, e = scene.unlit(mean, params.n_sigma), refs.extract1d
    if e is not None and e.dispersion_axis == abs(sample.readout.slow_axis):
        dark = dark & (aperture.coverage(e.lower, e.upper, dark.shape, aperture.across_axis(e.dispersion_axis)) == 0)
    return _turned(dark, sample.readout)


def _background(
    template: Float[Array, "difference line fast"], unlit: Bool[Array, "line fast"]
) -> Float[Array, "difference"]:
    """Median of the unlit pixels: it does not brighten with the star, and alike in a line it would pass for a level."""
    flat = template.reshape(len(template), -1).T
    return jnp.nan_to_num(order.median(flat, jnp.isfinite(flat) & unlit.ravel()[:, None]))


def _noise_and_template(
    difference: Float[Array, "integration difference line fast"],
    good: Bool[Array, "integration difference line fast"],
    sample: Ramps,
    refs: OneOverFRefs,
) -> tuple[Float[Array, "line fast"], Float[Array, "difference line fast"]]:
    """Variance of a difference by reads and photons, DN^2, and the template."""
    r = sample.readout
    gain, reads = (_turned(jnp.asarray(x), r) for x in (refs.gain.data, refs.readnoise.data**2 / r.nframes))
    known = (gain > 0) & jnp.isfinite(reads)

    def variance(template: Array) -> Float[Array, "line fast"]:
        photons = jnp.nanmean(jnp.where(jnp.isfinite(template), jnp.maximum(template, 0), jnp.nan), 0)
        return jnp.where(known, reads + jnp.nan_to_num(photons) / jnp.where(gain > 0, gain, 1), 0)

    template = order.median(difference, good)
    for _ in range(TEMPLATE_PASSES):
        scene_ = jnp.where(jnp.isfinite(template), template, 0)
        weight = aperture.ratio(jnp.ones_like(reads), variance(template)) * good
        overlap = (weight * scene_ * jnp.where(good, difference, 0)).sum((1, 2, 3), keepdims=True)
        norm = (weight * scene_**2).sum((1, 2, 3), keepdims=True)
        scale = jnp.where((norm > 0) & (overlap > 0), overlap / jnp.where(norm > 0, norm, 1), 1)
        template = order.median(difference / scale, good)
    return variance(template), template


def _lines(
    frames: _Sample, weight: Float[Array, "line fast"], outputs: int
) -> tuple[Float[Array, "frame line output"], Float[Array, "frame line output"]]:
    """Weighted mean of each line, and the sum of its weights (0 where no pixel is usable: mean 0)."""
    total = line_fit.sums(weight * frames.good, outputs)
    return aperture.ratio(line_fit.sums(weight * frames.rest, outputs), total), total


def _measured(
    frames: _Sample, weight: Float[Array, "line fast"], unlit: Bool[Array, "line fast"], outputs: int
) -> Float[Array, "line fast"]:
    """Weights by the noise that the sample shows: in unlit pixels on the whole, and in a pixel that has far more."""
    if len(frames.rest) < FEWEST_FRAMES:
        return weight
    level, _ = _lines(frames, weight * unlit, outputs)
    rest = jnp.where(frames.good, frames.rest - line_fit.spread(level, weight.shape[-1]), 0)
    count = frames.good.sum(0)
    excess = weight * (rest**2).sum(0) / jnp.maximum(count, 1)  # measured variance over the expected one
    known = unlit & (weight > 0) & (count > 0)
    typical = order.median(excess.ravel(), known.ravel())
    typical = jnp.where(typical > 0, typical, 1)
    return weight / jnp.where(excess > NOISY * typical, excess, typical)


def _covariance(
    frames: _Sample, weight: Float[Array, "line fast"], outputs: int, kriging: bool
) -> Float[Array, "level level"]:
    """Covariance C of the levels (line, output), DN^2, from the unlit pixels of the sample.

    What all outputs share and what each has of its own, by stage1/side_kriging.py; an offset of all lines is free.
    Without `kriging` all levels are.
    """
    level, total = (x.astype(jnp.float64) for x in _lines(frames, weight, outputs))
    lines = level.shape[1]
    if not kriging:
        precision = total.mean(0)
        typical = 1 / jnp.maximum(order.median(precision.ravel(), precision.ravel() > 0), 1e-30)
        return FREE * jnp.nan_to_num(typical) * jnp.eye(lines * outputs)
    alive = (total > 0).any((1, 2), keepdims=True)  # differences that no pixel has show nothing, nor do they count
    noise = jnp.where(alive, 1 / total, 0)
    share = len(level) / jnp.maximum(alive.sum(), 1)
    by_output = [[x[..., o] for o in range(outputs)] for x in (level, noise)]
    common, own = (share * c for c in side_kriging.drift(*by_output))
    common = common + FREE * jnp.diagonal(common + own).mean()
    return jnp.kron(common, jnp.ones((outputs, outputs))) + jnp.kron(own, jnp.eye(outputs))
