"""Jumps by what the other integrations of the series say.

A pixel does in every integration what it did in the others, times the brightness of the integration. So the expected
difference of two groups is known, where a single ramp has to fit its slope, and what stands out is judged by the
matched filter of a step (`kernels/step_filter.py`): by the charge it adds, over the standard deviation of that charge.
What the noise model leaves out (1/f, telegraph pixels, EMI) is taken from the series too. Hits add charge and never
take any, so the lower half of the estimates is free of them and shows the noise alone, its tails included.

All charges are in electrons.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from uptheramp.calibrate.kernels import order, planes, ramp_likelihood, step_filter, two_point

Differences = Float[Array, "integration n y x"]
Mask = Bool[Array, "integration n y x"]
# the differences of one pair of groups by its number, and which are valid
Pair = Callable[[Int[Array, ""]], tuple[Float[Array, "integration y x"], Bool[Array, "integration y x"]]]

SCALE_CLIP = 5.0  # standard deviations beyond which a difference says nothing on the brightness of its integration
SCALE_ALLOWANCES = (0.2, 0.0)  # share of the difference by which it may depart besides, pass by pass
TEMPLATE_PASSES = 2
LEARNING_CLIP = 4.0  # standard deviations beyond which a difference is left out of the expectation
COMMON_CLIP = 5.0  # standard deviations to which an estimate counts for the noise that all pixels share
PRIOR_ESTIMATES = 100.0  # for so many of a pixel's own the noise that all pixels share counts
DOWNWARDS = 3.5  # standard deviations: as far as noise may go down in a sample
FEWEST_TO_SHRINK = 4  # differences, for a ramp to tell on its members
LEAST_VARIANCE = 1e-6  # e-^2: keeps ratios defined without noise


class Noise(NamedTuple):
    """Variance of the noise of one group, and the share of a difference's photon noise that averaging frames takes off.

    With B = group - delay * mean, a difference has the variance level + 2 B and with its neighbour the covariance -B
    (`kernels/ramp_gls.py`).
    """

    group: Float[Array, "y x"]
    delay: Float[Array, ""]

    def covariance(
        self, level: Float[Array, "... n y x"], mean: Float[Array, "y x"]
    ) -> tuple[Float[Array, "... n y x"], Float[Array, "y x"]]:
        """Variance of differences of the given expectations, and covariance of neighbours, in a pixel of that mean."""
        common = self.group - self.delay * jnp.maximum(mean, 0)
        return jnp.maximum(jnp.maximum(level, 0) + 2 * common, LEAST_VARIANCE), -common


class Series(NamedTuple):
    """What the series says of a pixel: expected differences at brightness 1, and the noise of a step over the model's.

    `integration` are the numbers of the integrations that it was learned from.
    """

    template: Float[Array, "n y x"]
    excess: Float[Array, "n y x"]
    integration: Int[Array, "member"]


def brightness(
    difference: Differences, valid: Mask, template: Float[Array, "n y x"], noise_variance: Float[Array, "y x"]
) -> Float[Array, "integration 1 1 1"]:
    """Brightness of each integration relative to the template: weighted mean ratio, outliers clipped."""
    return brightness_of(_pairs(difference, valid), template, noise_variance)[:, None]


def _pairs(difference: Differences, valid: Mask) -> Pair:
    difference, valid = jnp.asarray(difference), jnp.asarray(valid)
    return lambda k: (difference[:, k], valid[:, k])


def brightness_of(
    pair: Pair,
    template: Float[Array, "n y x"],
    noise_variance: Float[Array, "y x"],
    scan: Callable[..., tuple[Any, Any]] = planes.scan,
) -> Float[Array, "integration 1 1"]:
    """`brightness` from the differences pair by pair; where they are not valid they must be finite."""
    number = len(template)
    images = jax.eval_shape(pair, jnp.arange(number)[0])[0].shape

    def better(scale: Float[Array, "integration 1 1"], allowance: float) -> Float[Array, "integration 1 1"]:
        def add(sums: tuple[Array, Array], k: Any, expected: Float[Array, "y x"]) -> tuple[tuple[Array, Array], None]:
            difference, valid = pair(k)
            sigma = two_point.sigma(expected, noise_variance)
            weight = jnp.where(valid & (sigma > 0), expected / jnp.where(sigma > 0, sigma, 1) ** 2, 0)
            reach = SCALE_CLIP * sigma + allowance * jnp.abs(expected)
            kept = jnp.clip(difference, scale * expected - reach, scale * expected + reach)
            return (sums[0] + weight * kept, sums[1] + weight * expected), None

        zero = jnp.zeros(images, template.dtype)
        sums, _ = scan(add, (zero, zero), number, template)
        overlap, norm = (x.sum((1, 2), keepdims=True) for x in sums)
        return jnp.where(norm > 0, overlap / jnp.where(norm > 0, norm, 1), 1)

    scale = jnp.ones((images[0], 1, 1), template.dtype)
    for allowance in SCALE_ALLOWANCES:
        scale = better(scale, allowance)
    return jnp.where(scale > 0, scale, 1)


def median_differences(pair: Pair, n: int, noise_variance: Float[Array, "y x"]) -> Float[Array, "n y x"]:
    """Median difference of each pixel and pair of groups over the integrations, brought to one brightness.

    Without that a transit would pull the median of bright pixels, where it exceeds the noise, more than of faint ones.
    One pair of groups is looked at at a time, so that the differences of all need not be held.
    """

    def medians(scale: Float[Array, "integration 1 1"] | float) -> Float[Array, "n y x"]:
        def of_pair(k: Int[Array, ""]) -> Float[Array, "y x"]:
            difference, valid = pair(k)
            return order.median(difference / scale, valid)

        return jax.lax.map(of_pair, jnp.arange(n))

    template = medians(1.0)
    for _ in range(TEMPLATE_PASSES):
        known = jnp.isfinite(template)

        def known_only(k: Int[Array, ""], known: Array = known) -> tuple[Array, Array]:
            difference, valid = pair(k)
            return difference, valid & known[k]

        template = medians(brightness_of(known_only, jnp.where(known, template, 0), noise_variance, planes.loop))
    return template


def learn(difference: Differences, valid: Mask, noise: Noise, integration: Int[Array, "integration"]) -> Series:
    """The series from a sample of it.

    The expectation is the mean of the integrations without what stands out of their median, drawn towards the mean of
    the ramp by as much as its scatter about that looks like noise (positive-part James-Stein).
    """
    middle = median_differences(_pairs(difference, valid), difference.shape[1], 2 * noise.group)
    exists = jnp.isfinite(middle)
    middle, valid = jnp.where(exists, middle, 0), valid & exists
    scale = brightness(difference, valid, middle, 2 * noise.group)
    z = steps_over_noise(difference, valid, scale, middle, noise)
    kept = valid & (jnp.abs(z) < LEARNING_CLIP)
    count = kept.sum(0).astype(difference.dtype)
    mean = jnp.where(kept, difference / scale, 0).sum(0) / jnp.maximum(count, 1)
    template = _shrunk(jnp.where(count > 0, mean, middle), count, noise)
    scale = brightness(difference, valid, template, 2 * noise.group)
    excess = _excess(steps_over_noise(difference, valid, scale, template, noise), valid)
    return Series(jnp.where(exists, template, jnp.nan), excess, integration)


def _shrunk(mean: Float[Array, "n y x"], count: Float[Array, "n y x"], noise: Noise) -> Float[Array, "n y x"]:
    usable = count > 0
    number = usable.sum(0)
    variance, neighbour = noise.covariance(mean, mean.mean(0))
    pairs = jnp.broadcast_to(neighbour, (len(mean) - 1, *neighbour.shape))
    fit = ramp_likelihood.fit(mean, usable, ramp_likelihood.Covariance(variance, pairs))
    chi_square = fit.chi_square * count.sum(0) / jnp.maximum(number, 1)
    believed = jnp.clip(1 - (number - 3) / jnp.maximum(chi_square, 1e-6), 0, 1)
    believed = jnp.where(number >= FEWEST_TO_SHRINK, believed, 1)
    return fit.rate + believed * (mean - fit.rate)


def _excess(z: Differences, valid: Mask) -> Float[Array, "n y x"]:
    """Root mean square of the estimates below zero: of all pixels by difference, times of each pixel, shrunk.

    A pixel that goes down by more than noise does, as telegraph pixels do, goes up as far: so far up counts as
    DOWNWARDS standard deviations.
    """
    low = valid & (z < 0)
    square = jnp.where(low, z, 0) ** 2
    shared = jnp.minimum(square, COMMON_CLIP**2).sum((0, 2, 3)) / jnp.maximum(low.sum((0, 2, 3)), 1)
    shared = jnp.where(shared > 0, shared, 1)[:, None, None]
    square = square / shared
    own = (PRIOR_ESTIMATES + square.sum((0, 1))) / (PRIOR_ESTIMATES + low.sum((0, 1)))
    own = jnp.maximum(own, square.max((0, 1)) / DOWNWARDS**2)
    members = len(z)
    return jnp.sqrt(shared * own * members / max(members - 1, 1))  # members are nearer to a mean that they are part of


def steps_over_noise(
    difference: Differences, informs: Mask, scale: Float[Array, "integration 1 1 1"], template: Array, noise: Noise
) -> Differences:
    """Estimated charge of a step at each difference, over its standard deviation by the noise model."""
    level = scale * template
    variance, neighbour = noise.covariance(level, template.mean(0))
    residual, informs, variance = (jnp.moveaxis(x, 1, 0) for x in (difference - level, informs, variance))
    charge, spread = step_filter.steps(residual, informs, variance, neighbour)
    return jnp.moveaxis(charge / jnp.sqrt(spread), 0, 1)


class Evidence(NamedTuple):
    """Expected differences, and for a step at each the charge over its standard deviation; where there is either."""

    level: Differences
    significance: Differences
    valid: Mask


def evidence(
    difference: Differences,
    valid: Mask,
    series: Series,
    noise: Noise,
    integration: Int[Array, "integration"],
    threshold: Float[Array, ""],
) -> Evidence:
    """Look for steps above the threshold, turn by turn; what is one says nothing any more on the others of its ramp.

    In each turn the differences that stand out more than their neighbours in the ramp are steps. The significance of
    each difference, step or not, is by what all those that are no steps say of it. Gradients take the steps as given.
    """
    exists = jnp.isfinite(series.template)
    template, valid = jnp.where(exists, series.template, 0), valid & exists
    scale = brightness(difference, valid, template, 2 * noise.group)
    excess = series.excess * _uncertainty(series, integration)

    def look(steps: Mask, difference: Differences, scale: Array, template: Array, noise: Noise) -> Differences:
        return steps_over_noise(difference, valid & ~steps, scale, template, noise) / excess

    given = difference, scale, template, noise
    fixed = jax.lax.stop_gradient(given)

    def turn(carry: tuple[Mask, Array]) -> tuple[Mask, Array]:
        steps, _ = carry
        z = jnp.where(valid & ~steps, look(steps, *fixed), -jnp.inf)
        beside = jnp.pad(z, ((0, 0), (1, 1), (0, 0), (0, 0)), constant_values=-jnp.inf)
        new = (z > jax.lax.stop_gradient(threshold)) & (z >= beside[:, :-2]) & (z >= beside[:, 2:])
        return steps | new, new.any()

    steps, _ = jax.lax.while_loop(lambda carry: carry[1], turn, (jnp.zeros_like(valid), jnp.asarray(True)))
    return Evidence(scale * template, look(steps, *given), valid)


def _uncertainty(series: Series, integration: Int[Array, "integration"]) -> Float[Array, "integration 1 1 1"]:
    """By how much the uncertainty of a mean of n integrations spreads a difference from it: sqrt(1 -+ 1 / n).

    An integration is nearer to a mean that it is part of, and farther from one that it is not.
    """
    n = len(series.integration)
    member = (integration[:, None] == series.integration).any(1)
    factor = jnp.sqrt(1 + jnp.where(member, -1, 1) / max(n, 2))
    return factor[:, None, None, None].astype(series.excess.dtype)


def hard(found: Evidence, threshold: Float[Array, ""]) -> Mask:
    """Differences that are jumps."""
    return found.valid & (found.significance > threshold)


def soft(found: Evidence, threshold: Float[Array, ""], temperature: Float[Array, ""]) -> Differences:
    """Weight of each difference, the probability that it is no jump: 1 / (1 + exp((z - threshold) / temperature)).

    Tends to `1 - hard` as the temperature goes to 0; 1 where nothing is known.
    """
    return jnp.where(found.valid, jax.nn.sigmoid((threshold - found.significance) / temperature), 1)
