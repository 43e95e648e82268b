"""Showers: faint charge over a wide area of the mid-infrared arrays, too faint in any pixel to be a jump.

Finding regions is host code (`kernels/regions.py`); the step calls it from the compiled program by `host.call`.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8, UInt32

from uptheramp.calibrate import flags, host
from uptheramp.calibrate.kernels import clipped, order
from uptheramp.calibrate.kernels.convolve import convolve
from uptheramp.calibrate.kernels.regions import Ellipse, ellipses, pixels

CLIP_SIGMA, CLIP_ROUNDS = 5.0, 5
FEWEST_DIFFERENCES = 10  # of an exposure, for its median to say what is usual
LEAST_KNOWN = 1e-3  # of the ring must be good for its mean to count, times the share of the box that the ring fills
UNUSABLE = flags.DO_NOT_USE | flags.SATURATED | flags.JUMP_DET


class ShowerParams(eqx.Module):
    """Names and defaults of the official step.

    A shower is a region of `extend_min_area` pixels (holes filled) where |difference - expected| / sigma, averaged over
    a ring from `extend_inner_radius` to `extend_inner_radius + extend_outer_radius` pixels (the official code takes the
    outer radius for the width), is above `extend_snr_threshold`. Its ellipse grows by `extend_ellipse_expand_ratio` and
    is flagged in this group and those of the next `time_masked_after_shower` seconds; pixels whose mean difference
    that would change by more than `max_shower_amplitude` (e-/s) are left as they were. The official step has 4 for it
    among its parameters but uses 6 whatever is asked.
    """

    find_showers: bool = eqx.field(static=True, default=False)
    extend_snr_threshold: float | jax.Array = 1.2
    extend_min_area: int | jax.Array = 90
    extend_inner_radius: float = eqx.field(static=True, default=1.0)
    extend_outer_radius: float = eqx.field(static=True, default=2.6)
    extend_ellipse_expand_ratio: float | jax.Array = 1.1
    time_masked_after_shower: float | jax.Array = 15.0
    max_shower_amplitude: float | jax.Array = 6.0


class Expected(NamedTuple):
    """What a difference is expected to be and its standard deviation, e-."""

    level: Float[Array, "... y x"]
    sigma: Float[Array, "... y x"]


def expected_from(level: Float[Array, "... y x"], noise_variance: Float[Array, "y x"]) -> Expected:
    """Read noise and the shot noise of the level itself."""
    return Expected(level, jnp.sqrt(jnp.abs(level) + noise_variance))


def expected_of_exposure(
    data_e: Float[Array, "integration group y x"],
    groupdq: UInt8[Array, "integration group y x"],
    noise_variance: Float[Array, "y x"],
    minimum_sigclip_groups: int,
) -> Expected:
    """What the official step expects: the pixel's median difference or, with many integrations, that of each group."""
    difference, known = _differences(data_e, groupdq)
    if len(data_e) < minimum_sigclip_groups:
        return expected_from(order.median(*(x.reshape(-1, *x.shape[2:]) for x in (difference, known))), noise_variance)
    kept = known & ~clipped.outliers(difference, known, jnp.asarray(CLIP_SIGMA, data_e.dtype), CLIP_ROUNDS)
    count = jnp.maximum(kept.sum(0), 1).astype(data_e.dtype)
    mean = jnp.where(kept, difference, 0).sum(0) / count
    spread = jnp.sqrt(jnp.where(kept, (difference - mean) ** 2, 0).sum(0) / count)
    return Expected(order.median(difference, kept), spread)


def enough(groupdq: UInt8[Array, "integration group y x"]) -> Bool[Array, ""]:
    """Whether the exposure has so many differences that its median says what is usual; padding does not count."""
    dead = ((groupdq & flags.DO_NOT_USE) != 0).all((2, 3))
    return jnp.where(dead.all(1), 0, groupdq.shape[1] - 1 - dead.sum(1)).sum() >= FEWEST_DIFFERENCES


def flagged(
    data_e: Float[Array, "integration group y x"],
    groupdq: UInt8[Array, "integration group y x"],
    pixeldq: UInt32[Array, "y x"],
    expected: Expected,
    group_time_s: Float[Array, ""],
    widest_px: float | Float[Array, ""],
    params: ShowerParams,
) -> UInt8[Array, "integration group y x"]:
    """Group flags with JUMP_DET where showers are."""
    reference = pixeldq == flags.REFERENCE_PIXEL
    usable = jnp.where(reference, flags.DO_NOT_USE, groupdq).astype(jnp.uint8)
    begun = jnp.cumsum(~((usable & flags.DO_NOT_USE) != 0).all((2, 3)), axis=1) > 0
    difference, known = _differences(data_e, groupdq)
    masked = ((usable[:, 1:] | pixeldq.astype(jnp.uint8)) & UNUSABLE) != 0
    ratio = jnp.abs(difference - expected.level) / expected.sigma
    bright = _smooth(ratio, known & ~masked & jnp.isfinite(ratio), params) > params.extend_snr_threshold
    after = params.time_masked_after_shower // group_time_s
    numbers = params.extend_min_area, params.extend_ellipse_expand_ratio, widest_px, after
    (found,) = host.call(
        _flag_all,
        (jax.ShapeDtypeStruct(groupdq.shape, np.uint8),),
        usable,
        bright & begun[:, :-1, None, None],
        jnp.stack([jnp.asarray(x, float) for x in numbers]),
    )
    change = jnp.abs(_mean_difference(data_e, groupdq) - _mean_difference(data_e, found))
    possible = change <= params.max_shower_amplitude * group_time_s.astype(change.dtype)  # not where NaN
    return jnp.where(possible[:, None], found, groupdq)


def _differences(
    data_e: Float[Array, "integration group y x"], groupdq: UInt8[Array, "integration group y x"]
) -> tuple[Float[Array, "integration n y x"], Bool[Array, "integration n y x"]]:
    """Differences of neighbouring groups, and where they are known; flags besides these make no group unknown."""
    d, s, j = flags.DO_NOT_USE, flags.SATURATED, flags.JUMP_DET
    lost = jnp.isin(groupdq, jnp.asarray([d, s, j, s | d, j | d], jnp.uint8)) | ~jnp.isfinite(data_e)
    known = ~(lost[:, 1:] | lost[:, :-1])
    return jnp.where(known, jnp.diff(data_e, axis=1), 0), known


def _smooth(
    ratio: Float[Array, "... y x"], good: Bool[Array, "... y x"], params: ShowerParams
) -> Float[Array, "... y x"]:
    """Mean over a ring of good pixels, outside of the image zero; -inf where the pixel itself is not good."""
    inner, outer = params.extend_inner_radius, params.extend_inner_radius + params.extend_outer_radius
    reach = int(np.ceil(outer))
    radius2 = (np.arange(-reach, reach + 1)[:, None] ** 2 + np.arange(-reach, reach + 1) ** 2).astype(float)
    ring = ((radius2 >= inner**2) & (radius2 <= outer**2)).astype(ratio.dtype)
    total = convolve(jnp.where(good, ratio, 0), ring)
    weight = ring.sum() - convolve((~good).astype(ratio.dtype), ring)
    known = good & (weight > LEAST_KNOWN * ring.mean())
    return jnp.where(known, total / jnp.where(known, weight, 1), -jnp.inf)


def _mean_difference(
    data_e: Float[Array, "integration group y x"], groupdq: UInt8[Array, "integration group y x"]
) -> Float[Array, "integration y x"]:
    bad = (groupdq & UNUSABLE) != 0
    bad = bad | ~jnp.isfinite(data_e)
    known = ~(bad[:, 1:] | bad[:, :-1])
    count = known.sum(1)
    mean = jnp.where(known, jnp.diff(data_e, axis=1), 0).sum(1) / jnp.maximum(count, 1).astype(data_e.dtype)
    return jnp.where(count > 0, mean, jnp.nan)


def _flag_all(groupdq: np.ndarray, bright: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray]:
    """The host function: least area (px), ratio of growth, widest axis (px) and number of groups flagged after."""
    least_area, ratio, widest_px, after = map(float, numbers)
    groupdq = groupdq.copy()
    for cube, planes in zip(groupdq, bright, strict=True):
        for group, plane in enumerate(planes, start=1):
            for shower in ellipses(plane, least_area):
                _flag(cube[group : group + int(after) + 1], shower.axes(ratio, widest_px), shower)
    return (groupdq,)


def _flag(cube: UInt8[np.ndarray, "group y x"], axes: tuple[float, float], shower: Ellipse) -> None:
    """Flag a shower's pixels from its group on, in place; each until it is saturated."""
    window, covered = pixels(cube.shape[1:], shower, *axes)
    for flagged in cube[:, *window]:
        covered &= (flagged & flags.SATURATED) == 0
        flagged[covered] |= flags.JUMP_DET
