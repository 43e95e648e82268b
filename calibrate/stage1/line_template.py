"""What a sample of an exposure tells of its light and of the levels of its lines: what one_over_f learns.

A difference of two groups is looked at a time, so that nothing as large as the sample is made of it.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from uptheramp.calibrate import flags
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.kernels import aperture, order, planes
from uptheramp.calibrate.kernels.line_fit import Lines, part
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.stage1 import scene, side_kriging
from uptheramp.calibrate.stage1.differences import difference_at
from uptheramp.calibrate.state import Ramps

FREE = 1e4  # variance of a level that nothing is known of, in terms of what is known
TEMPLATE_PASSES = 2
MEDIAN = jnp.pi / 2  # variance of the median of many Gaussian samples, in terms of that of their mean
NOISY = 2.0  # times the expected variance: beyond, a pixel has the weight that it shows in the sample

Place = tuple[Int[Array, ""], Int[Array, ""]]  # integration and later group of a difference


class Light(eqx.Module):
    """What is typical of the difference of two neighbouring groups, DN, and what of it is the star.

    `difference` is NaN where it is unknown; `star` (0 there) is the mean over differences without what all pixels
    share, which does not brighten with the star; `noise` its variance, DN^2.
    """

    difference: Float[Array, "difference y x"]
    star: Float[Array, "y x"]
    noise: Float[Array, "y x"]


class Frame(NamedTuple):
    """What the template leaves of a difference, and where it is known."""

    rest: Float[Array, "y x"]
    good: Bool[Array, "y x"]


class LineMeans(NamedTuple):
    """What frames show of their lines: weighted means, and the sums of the weights (0 where no pixel is usable)."""

    mean: Float[Array, "*any line output"]
    weight: Float[Array, "*any line output"]


def lines_of(r: Readout) -> Lines:
    """How the lines of a read-out lie; interleaved outputs share one level."""
    return Lines(-1 if abs(r.fast_axis) == 1 else -2, r.outputs if r.reference_correction == "amplifiers" else 1)


def usable(sample: Ramps) -> Bool[Array, "y x"]:
    """Pixels that see light; what reference pixels say refpix has heard."""
    return (sample.pixeldq & (flags.DO_NOT_USE | flags.REFERENCE_PIXEL)) == 0


def light_and_noise(
    sample: Ramps, gain: Gain, readnoise: ReadNoise, extract1d: Extract1d | None, n_sigma: float | Array
) -> tuple[Light, Float[Array, "y x"], Bool[Array, "y x"]]:
    """Median differences at one brightness, noise yet to be seen; variance by reads and photons, DN^2; unlit pixels."""
    reads = jnp.asarray(readnoise.data) ** 2 / sample.readout.nframes
    known = (jnp.asarray(gain.data) > 0) & jnp.isfinite(reads)

    def variance(template: Array) -> Float[Array, "y x"]:
        photons = jnp.nanmean(jnp.where(jnp.isfinite(template), jnp.maximum(template, 0), jnp.nan), 0)
        return jnp.where(known, reads + jnp.nan_to_num(photons) / jnp.where(known, gain.data, 1), 0)

    def at(scale: Float[Array, "integration"]) -> Float[Array, "difference y x"]:
        def one(later: Int[Array, ""]) -> Float[Array, "y x"]:
            step, good = difference_at(sample.data, sample.groupdq, later)
            return order.median(step / scale[:, None, None], good)

        return jax.lax.map(one, jnp.arange(1, sample.readout.ngroups))

    template = at(jnp.ones(len(sample.data), sample.data.dtype))
    for _ in range(TEMPLATE_PASSES):
        template = at(_brightness(sample, template, aperture.ratio(jnp.ones_like(reads), variance(template))))
    # the scene is the same in all differences: their mean has less noise, and noise of a template hides in the levels
    share = _shares(template)
    known = share.sum(0) > 0
    unlit = _unlit(jnp.where(known, (share * jnp.nan_to_num(template)).sum(0), jnp.nan), sample, extract1d, n_sigma)
    beyond = jnp.nan_to_num(template) - _background(template, unlit)[:, None, None]
    star = (share * beyond).sum(0)
    return Light(template, star, jnp.zeros_like(star)), variance(template), unlit


def _shares(template: Float[Array, "difference y x"]) -> Float[Array, "difference y x"]:
    """Weights of known differences in the slope of a line through groups of equal noise; their sum is 1 or 0."""
    later = jnp.arange(1, len(template) + 1)
    share = (later * later[::-1])[:, None, None] * jnp.isfinite(template).astype(template.dtype)
    return aperture.ratio(share, share.sum(0))


def noise_of_star(
    variance: Float[Array, "y x"], template: Float[Array, "difference y x"], sample: Ramps
) -> Float[Array, "y x"]:
    """Variance of the mean of the medians of differences that have this variance."""
    return MEDIAN * variance / len(sample.data) * (_shares(template) ** 2).sum(0)


def _brightness(
    sample: Ramps, template: Float[Array, "difference y x"], weight: Float[Array, "y x"]
) -> Float[Array, "integration"]:
    """Each integration in terms of the template (1 where that cannot be told)."""
    light = jnp.where(jnp.isfinite(template), template, 0)

    def one(x: tuple[Array, Array]) -> Float[Array, ""]:
        def add(total: Float[Array, "2"], later: Int[Array, ""], light: Float[Array, "y x"]) -> Float[Array, "2"]:
            step, good = difference_at(*x, later)
            seen = jnp.where(good, weight * light, 0)
            return total + jnp.stack([(seen * step).sum(), (seen * light).sum()])

        overlap, norm = planes.fold(add, jnp.zeros(2, template.dtype), jnp.arange(1, sample.readout.ngroups), light)
        return jnp.where((norm > 0) & (overlap > 0), overlap / jnp.where(norm > 0, norm, 1), 1)

    return jax.lax.map(one, (sample.data, sample.groupdq))


def _unlit(
    slope: Float[Array, "y x"], sample: Ramps, extract1d: Extract1d | None, n_sigma: float | Array
) -> Bool[Array, "y x"]:
    """Pixels without light, and outside the aperture if the lines run across it.

    Along the dispersion the aperture would take whole lines, with the ends that no light reaches.
    """
    dark = scene.unlit(jnp.where(usable(sample), slope, jnp.nan), n_sigma)
    if extract1d is not None and extract1d.dispersion_axis == abs(sample.readout.slow_axis):
        dark = dark & (extract1d.inside(dark.shape) == 0)
    return dark


def _background(template: Float[Array, "difference y x"], unlit: Bool[Array, "y x"]) -> Float[Array, "difference"]:
    """Median of the unlit pixels: alike in a line, what is no light of the star would pass for a level."""
    flat = template.reshape(len(template), -1).T
    return jnp.nan_to_num(order.median(flat, jnp.isfinite(flat) & unlit.ravel()[:, None]))


def places(sample: Ramps) -> Place:
    """All differences of the sample."""
    every = jnp.arange(len(sample.data)), jnp.arange(1, sample.readout.ngroups)
    integration, later = jnp.meshgrid(*every, indexing="ij")
    return integration.ravel(), later.ravel()


def frames(sample: Ramps, light: Light, weight: Float[Array, "y x"], axes: tuple[int, ...]) -> Callable[[Place], Frame]:
    """How to look at one difference of the sample without the star, whose brightness is free over `axes`."""
    return partial(_frame, sample, light, weight, axes)


def _frame(
    sample: Ramps,
    light: Light,
    weight: Float[Array, "y x"],
    axes: tuple[int, ...],
    place: Place,
) -> Frame:
    integration, later = place
    step, good = difference_at(sample.data[integration], sample.groupdq[integration], later)
    expected = light.difference[later - 1]
    good = good & jnp.isfinite(expected)
    rest = jnp.where(good, step - expected, 0)
    return Frame(rest - part(rest, light.star, weight * good, axes, light.noise), good)


def line_means(frame: Frame, weight: Float[Array, "y x"], lines: Lines) -> LineMeans:
    """Weighted mean of each line, 0 where there is none."""
    total = lines.sums(weight * frame.good)
    return LineMeans(aperture.ratio(lines.sums(weight * frame.rest), total), total)


def shown(
    look: Callable[[Place], Frame], where: Place, weight: Float[Array, "y x"], lines: Lines
) -> tuple[Float[Array, "y x"], Float[Array, "y x"]]:
    """Mean square of what frames leave of each pixel, DN^2: as it is, and beside the levels that `weight` finds."""

    def add(sums: tuple[Array, Array, Array], *place: Int[Array, ""]) -> tuple[Array, Array, Array]:
        frame = look(place)
        own = frame.rest - lines.spread(line_means(frame, weight, lines).mean, weight.shape)
        squares, of_own = sums[0] + frame.rest**2, sums[1] + jnp.where(frame.good, own, 0) ** 2
        return squares, of_own, sums[2] + frame.good

    zero = jnp.zeros_like(weight)
    squares, of_own, count = planes.fold(add, (zero, zero, jnp.zeros(zero.shape, jnp.int32)), *where)
    return squares / jnp.maximum(count, 1), of_own / jnp.maximum(count, 1)


def measured_weight(
    variance: Float[Array, "y x"], weight: Float[Array, "y x"], unlit: Bool[Array, "y x"]
) -> Float[Array, "y x"]:
    """Weights by the noise that a sample shows: in unlit pixels on the whole, and in a pixel that has far more."""
    excess = weight * variance  # measured over expected
    typical = order.median(excess.ravel(), (unlit & (excess > 0)).ravel())
    typical = jnp.where(typical > 0, typical, 1)
    return weight / jnp.where(excess > NOISY * typical, excess, typical)


def covariance(seen: LineMeans, kriging: bool) -> Float[Array, "level level"]:
    """Covariance C of the levels (line, output), DN^2, from what the unlit pixels of frames show of them.

    What all outputs share and what each has of its own, by stage1/side_kriging.py; an offset of all lines is free.
    Without `kriging` all levels are.
    """
    level, total = (x.astype(jnp.float64) for x in seen)
    number, outputs = level.shape[1:]
    if not kriging:
        precision = total.mean(0)
        typical = 1 / jnp.maximum(order.median(precision.ravel(), precision.ravel() > 0), 1e-30)
        return FREE * jnp.nan_to_num(typical) * jnp.eye(number * outputs)
    alive = (total > 0).any((1, 2), keepdims=True)  # differences that no pixel has show nothing, nor do they count
    noise = jnp.where(alive, 1 / total, 0)
    share = len(level) / jnp.maximum(alive.sum(), 1)
    by_output = [[x[..., o] for o in range(outputs)] for x in (level, noise)]
    common, own = (share * c for c in side_kriging.drift(*by_output))
    common = common + FREE * jnp.diagonal(common + own).mean()
    return jnp.kron(common, jnp.ones((outputs, outputs))) + jnp.kron(own, jnp.eye(outputs))
