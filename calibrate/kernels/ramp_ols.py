"""Ordinary least squares slopes by segments, as the official pipeline's OLS_C weights them.

A segment is a run of good groups, preceded by the group that carries the jump which starts it. Within a segment of L
groups group k weighs |(k - m) / m|^P with m = (L - 1) / 2 and P from the segment's signal-to-noise ratio (Fixsen et al.
2000, PASP 112, 1350); segments combine by their read-noise variances. Segments of one group count only where there is
no longer one, and then only the first. Sources: jwst 3.0.0 ramp_fitting documentation; stcal 1.20.0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

SNR_LIMITS = (5.0, 10.0, 20.0, 50.0, 100.0)  # from which the powers are 0.4, 1, 3, 6 and 10; 0 below


class Segments(NamedTuple):
    """Which groups belong to a segment, which continue the one before, and what the segment's ends hold."""

    member: Bool[Array, "group ..."]
    continues: Bool[Array, "group ..."]
    position: Int[Array, "group ..."]
    length: Int[Array, "group ..."]
    first: Float[Array, "group ..."]
    last: Float[Array, "group ..."]


class Fit(NamedTuple):
    """Slope (DN per group), information on read and Poisson noise in the units of `fit`, and whether there is any.

    `lone`: there is one good group and no more, so that the slope rests on the zero level.
    """

    slope: Float[Array, "..."]
    read_information: Float[Array, "..."]
    poisson_information: Float[Array, "..."]
    usable: Bool[Array, "..."]
    lone: Bool[Array, "..."]


def segments(
    data: Float[Array, "group ..."], good: Bool[Array, "group ..."], jump: Bool[Array, "group ..."]
) -> Segments:
    """Cut ramps into segments; `jump` marks groups with no flag but JUMP_DET."""
    starts = jump & jnp.concatenate([good[1:], jnp.zeros_like(good[:1])])
    member = good | starts
    continues = good & jnp.concatenate([jnp.zeros_like(member[:1]), member[:-1]])

    def forward(carry, x):
        position, first = carry
        value, goes_on = x
        carry = jnp.where(goes_on, position + 1, 0), jnp.where(goes_on, first, value)
        return carry, carry

    def backward(carry, x):
        length, last = carry
        value, place, goes_on_after = x
        carry = jnp.where(goes_on_after, length, place + 1), jnp.where(goes_on_after, last, value)
        return carry, carry

    zero = jnp.zeros(data.shape[1:], jnp.int32)
    _, (position, first) = jax.lax.scan(forward, (zero, data[0]), (data, continues))
    after = jnp.concatenate([continues[1:], jnp.zeros_like(continues[:1])])
    _, (length, last) = jax.lax.scan(backward, (zero, data[-1]), (data, position, after), reverse=True)
    return Segments(member, continues, position, length, first, last)


def powers(arm: Float[Array, "..."]) -> tuple[Array, ...]:
    """`arm` (above 0) to the powers of the weights from each of SNR_LIMITS on.

    By products, since the exponents are whole but one.
    """
    cube = arm * arm * arm
    sixth = cube * cube
    return jnp.exp(0.4 * jnp.log(arm)), arm, cube, sixth, sixth * cube * arm


def chosen_power(
    plain: float | Float[Array, ""], powers: Sequence[Array], snr: Float[Array, "..."]
) -> Float[Array, "..."]:
    """The one of `powers` that a segment's signal-to-noise ratio asks for, `plain` below the first limit."""
    value = jnp.full_like(snr, plain)
    for limit, raised in zip(SNR_LIMITS, powers, strict=True):
        value = jnp.where(snr >= limit, raised, value)
    return value


def signal_to_noise(rise: Float[Array, "..."], read_noise_e: Float[Array, "..."]) -> Float[Array, "..."]:
    """Of a segment that rises by so many electrons, 0 where it falls."""
    noise = read_noise_e**2 + rise
    positive = noise > 0
    return jnp.where(positive & (rise > 0), rise / jnp.sqrt(jnp.where(positive, noise, 1)), 0)


def fit(
    data: Float[Array, "group ..."],
    good: Bool[Array, "group ..."],
    jump: Bool[Array, "group ..."],
    gain: Float[Array, "..."],
    read_noise_e: Float[Array, "..."],
    lone_group_scale: Float[Array, "..."],
) -> Fit:
    """Fit all ramps (DN); the slope is in DN per group.

    Information is the sum over segments of (L^3 - L) / 12 and of L - 1: read variance = (sigma / (g T))^2 / the first,
    Poisson variance = rate / (g T) / the second. A segment of one group has the slope `data * lone_group_scale` and
    counts as 1 / 2 and 1, over the square of the scale and the scale (as the official one does).
    """
    data = jnp.where(good | jump, data, 0)
    s = segments(data, good, jump)
    snr = jax.lax.stop_gradient(signal_to_noise((s.last - s.first) * gain, read_noise_e))
    several = s.member & (s.length > 1)
    middle = 0.5 * (jnp.maximum(s.length, 2) - 1).astype(data.dtype)
    lever = s.position.astype(data.dtype) - middle
    arm = jnp.abs(lever) / middle
    away = arm > 0
    weight = jnp.where(several & away, chosen_power(1, powers(jnp.where(away, arm, 1)), snr), 0)
    moment, spread = weight * lever * (data - s.first), weight * lever**2
    ends = several & ~jnp.concatenate([s.continues[1:], jnp.zeros_like(s.continues[:1])])
    length = s.length.astype(data.dtype)
    read_each = (length**3 - length) / 12

    lone = s.member & (s.length == 1)

    def add(carry, x):
        moment_sum, spread_sum, slope_sum, read_sum, poisson_sum, lone_data, seen = carry
        m, d, goes_on, end, read, poisson, alone, value = x
        moment_sum = jnp.where(goes_on, moment_sum, 0) + m
        spread_sum = jnp.where(goes_on, spread_sum, 0) + d
        slope = moment_sum / jnp.where(spread_sum > 0, spread_sum, 1)
        slope_sum = slope_sum + jnp.where(end, slope * read, 0)
        read_sum, poisson_sum = read_sum + jnp.where(end, read, 0), poisson_sum + jnp.where(end, poisson, 0)
        lone_data = jnp.where(alone & ~seen, value, lone_data)
        return (moment_sum, spread_sum, slope_sum, read_sum, poisson_sum, lone_data, seen | alone), None

    zero = jnp.zeros(jnp.broadcast_shapes(data.shape[1:], gain.shape), data.dtype)
    stacked = moment, spread, s.continues, ends, read_each, length - 1, lone, data
    start = (zero,) * 6 + (jnp.zeros(zero.shape, bool),)
    (_, _, slope_sum, read_sum, poisson_sum, lone_data, has_lone), _ = jax.lax.scan(add, start, stacked)
    has_several = read_sum > 0
    slope = jnp.where(has_several, slope_sum / jnp.where(has_several, read_sum, 1), lone_data * lone_group_scale)
    return Fit(
        slope,
        jnp.where(has_several, read_sum, 0.5 / lone_group_scale**2),
        jnp.where(has_several, poisson_sum, 1 / lone_group_scale),
        has_several | has_lone,
        has_lone & ~has_several,
    )
