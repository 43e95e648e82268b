"""Take the 1/f noise of the read-out out of every group without taking light: levels of lines beside a template.

The steps of other pipelines that this one unites and what each leaves to be desired: docs/one_over_f_spectra.md.
"""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import aperture, line_fit
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.stage1 import line_template
from uptheramp.calibrate.stage1.differences import difference_at
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step

METHODS = ("background", "template", "joint")
FEWEST_FRAMES = 3  # from which a sample tells the noise


class LineTemplate(eqx.Module):
    """What the step learns of an exposure.

    `weight` of the pixels in 1/DN^2; `response` (DN^2) turns weighted sums over lines and outputs to levels.
    """

    light: line_template.Light
    weight: Float[Array, "y x"]
    response: Float[Array, "level level"]


class OneOverFRefs(eqx.Module):
    """What one_over_f takes from the library; the template is learned on a sample of the exposure."""

    gain: Gain
    readnoise: ReadNoise
    extract1d: Extract1d | None
    line_template: LineTemplate | None


class OneOverFParams(eqx.Module):
    """How light is told from noise.

    `method`: "background", lines are measured where the template shows no light (up to `n_sigma` deviations) and, if
    they run across the dispersion, beside the aperture, on what the unscaled template leaves; "template", on all
    pixels, the template of the whole image scaled by one factor, the light curve; "joint", on all pixels, together with
    one scale for each dispersion element. With `kriging` the levels of neighbouring lines tell of each other, as
    strongly as a sample shows.
    """

    method: str = eqx.field(static=True, default="joint")
    n_sigma: float | jax.Array = 2.0
    kriging: bool = eqx.field(static=True, default=True)


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
    r, shape = sample.readout, sample.data.shape[-2:]
    if r.ngroups == 1:
        return None
    lines, where = line_template.lines_of(r), line_template.places(sample)
    light, variance, unlit = line_template.light_and_noise(
        sample, refs.gain, refs.readnoise, refs.extract1d, params.n_sigma
    )
    weight = aperture.ratio(line_template.usable(sample).astype(variance.dtype), variance)
    free = _axes("joint", refs.extract1d, shape)
    look = line_template.frames(sample, light, weight, free)
    if len(where[0]) >= FEWEST_FRAMES:
        square, beside_levels = line_template.shown(look, where, weight * unlit, lines)
        light = replace(light, noise=line_template.noise_of_star(square, light.difference, sample))
        weight = line_template.measured_weight(beside_levels, weight, unlit)
        look = line_template.frames(sample, light, weight, free)
    seen = jax.lax.map(lambda place: line_template.line_means(look(place), weight * unlit, lines), where)

    used = weight * unlit if params.method == "background" else weight
    axes = _axes(params.method, refs.extract1d, shape)
    normal = line_fit.normal(light.star.astype(jnp.float64), used.astype(jnp.float64), axes, lines)
    response = line_fit.response(normal, line_template.covariance(seen, params.kriging))
    return LineTemplate(light, used, response.astype(sample.data.dtype))


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
    lines, shape = line_template.lines_of(state.readout), state.data.shape[-2:]
    light, weight = template.light, template.weight
    scene = line_fit.Scene(light.star, weight, light.noise, _axes(params.method, refs.extract1d, shape), lines)

    data, groupdq = (jnp.asarray(x).reshape(-1, *shape) for x in (state.data, state.groupdq))

    def seen(place: line_template.Place) -> line_fit.Seen:
        integration, later = place
        difference, good = difference_at(data, groupdq, integration * state.readout.ngroups + later)
        expected = light.difference[later - 1]
        good = good & jnp.isfinite(expected)
        return scene.seen(jnp.where(good, difference - expected, 0), good)

    level = line_fit.solved(scene, jax.lax.map(seen, line_template.places(state)), template.response)
    of_pairs = level.reshape(len(state.data), -1, *level.shape[1:])
    drift = jnp.cumsum(jnp.pad(of_pairs, ((0, 0), (1, 0), (0, 0), (0, 0))), 1).astype(state.data.dtype)
    return eqx.tree_at(lambda s: s.data, state, state.data - lines.spread(drift, shape)), None


def _axes(method: str, extract1d: Extract1d | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Over which axes of the image one scale of the template extends; see kernels/line_fit.py.

    Without an aperture the light is taken as dispersed along the longer side.
    """
    if method == "background":
        return ()
    if method == "template":
        return (-2, -1)
    longer = 1 if shape[1] >= shape[0] else 2
    return (aperture.across_axis(longer if extract1d is None else extract1d.dispersion_axis),)
