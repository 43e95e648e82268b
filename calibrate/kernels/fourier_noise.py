"""Slow noise of the read-out as a Fourier series in time, fitted to the unlit pixels alone (NSClean).

An image is a record of one output, line after line, with a pause between lines. The frequencies fitted are the lowest
ones (1/f) and those at the Nyquist frequency (neighbouring pixels read by turns). The fit goes by stretches of lines
that hold enough unlit pixels, each overlapping half of the one before, and what stretches say of a line is averaged.
Source: Rauscher 2024, PASP 136, 015001; jwst 3.0.0 clean_flicker_noise, whose series has terms of positive frequency.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Int

from uptheramp.calibrate.kernels import background, grow
from uptheramp.calibrate.kernels.readout import CLOCK_S

PAUSE_CLOCKS = 12  # between lines
LOW_HZ, ROLL_OFF_HZ = 1061.0, 1211.0  # gain 1 below, falling by a cosine, 0 beyond
ROLL_ON_HZ, HIGH_HZ = 49943.0, 49957.0  # 0 below, rising by a cosine, 1 beyond
DENSITY_CLOCKS = 4 / 32 / (CLOCK_S * (LOW_HZ + ROLL_OFF_HZ) / 2)  # Gaussian over which the density of pixels is taken
DENSITY_DELAY_CLOCKS = 1  # by which the official smoothing is off centre
DENSITY_REACH = 6  # standard deviations
WANTED, REST = 512, 768  # unlit pixels of a stretch; with no more than the latter left it goes to the end
LEAST_SHARE = 0.05  # of the pixels of a stretch must be unlit
OUTLIER_SIGMA, MAD_SIGMA = 4.0, 1.4825
CLASSES = (32, 128)  # lines of a stretch for which there is a program, besides the longest
RIDGE = 1e-6  # of the mean weight: what gaps leave open stays small, where the official fit without it runs away
EDGE_WEIGHT = 1e-3  # of a stretch at its ends, 1 in its middle


class _Stretch(NamedTuple):
    """Lines of an image from the first on, of which `count` belong to the stretch."""

    data: Float[Array, "line fast"]
    unlit: Bool[Array, "line fast"]
    count: Int[Array, ""]


def fitted(image: Float[Array, "line fast"], unlit: Bool[Array, "line fast"]) -> Float[Array, "line fast"]:
    """Return the noise of an image in the order of the read-out; linear in the pixels that are kept.

    Outliers are left out together with their four neighbours; 0 where too few pixels are unlit.
    """
    lines, fast = image.shape
    kept = _without_outliers(image, unlit)
    longest = min(lines, math.ceil(max(REST, WANTED + fast) / (LEAST_SHARE * fast)))
    classes = (*(c for c in CLASSES if c < longest), longest)
    before = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(kept.sum(1, dtype=jnp.int32))])
    ends = jnp.searchsorted(before, before[-1], side="left").astype(jnp.int32)  # after the last line with a pixel
    padded = [jnp.pad(x, ((0, longest), (0, 0))) for x in (jnp.where(kept, image, 0), kept)]
    number = jnp.arange(lines)

    def fit(length: int):
        def of_length(stretch: _Stretch) -> Float[Array, "line fast"]:
            model = _series(_Stretch(stretch.data[:length], stretch.unlit[:length], stretch.count))
            return jnp.pad(model, ((0, longest - length), (0, 0)))

        return of_length

    programs = [lambda stretch: jnp.zeros_like(stretch.data), *(fit(c) for c in classes)]

    def add(carry, _):
        first, running, total, weight = carry
        rest = before[-1] - before[first]
        full = jnp.searchsorted(before, before[first] + WANTED, side="right").astype(jnp.int32)
        end = jnp.where(rest > REST, full, ends)
        count = jnp.where(running, end - first, 0)
        data, inside = (jax.lax.dynamic_slice_in_dim(x, first, longest) for x in padded)
        inside = inside & (jnp.arange(longest) < count)[:, None]
        share = (before[end] - before[first]) / jnp.maximum(count * fast, 1)
        program = jnp.where(running & (share > LEAST_SHARE), 1 + jnp.searchsorted(jnp.asarray(classes), count), 0)
        model = jax.lax.switch(program, programs, _Stretch(data, inside, count))
        place = (number - first) / jnp.maximum(count - 1, 1)
        own = jnp.where((number >= first) & (number < first + count), 1 + EDGE_WEIGHT - jnp.abs(2 * place - 1), 0)
        mine = jax.lax.dynamic_slice_in_dim(jnp.pad(own, (0, longest)), first, longest)[:, None]
        old = jax.lax.dynamic_slice_in_dim(total, first, longest)
        total = jax.lax.dynamic_update_slice_in_dim(total, old + (mine * model).astype(total.dtype), first, 0)
        step = jnp.maximum(jnp.round(count / 2).astype(jnp.int32), 1)
        return (jnp.where(running, first + step, first), running & (end < ends), total, weight + own), None

    first = jnp.argmax(kept.any(1)).astype(jnp.int32)
    shortest = max(1, round((WANTED // fast + 1) / 2))  # step from one stretch to the next
    start = first, before[-1] > 0, jnp.zeros_like(padded[0]), jnp.zeros(lines)
    (_, _, total, weight), _ = jax.lax.scan(add, start, length=math.ceil(lines / shortest) + 1)
    return (total[:lines] / jnp.where(weight > 0, weight, 1)[:, None]).astype(image.dtype)


def _without_outliers(image: Float[Array, "line fast"], unlit: Bool[Array, "line fast"]) -> Bool[Array, "line fast"]:
    """Unlit pixels that neither stand out nor touch one that does."""
    image = jax.lax.stop_gradient(image)
    middle = background.median(*background.ranked(image, unlit))
    distance = jnp.abs(image - middle)
    spread = MAD_SIGMA * background.median(*background.ranked(distance, unlit))
    return unlit & ~grow.cross(unlit & (distance > OUTLIER_SIGMA * spread))


def _series(stretch: _Stretch) -> Float[Array, "line fast"]:
    """Weighted least squares on one stretch: sum w^2 conj(e) (d - sum c e) = 0 with e_k = exp(2 pi i k t / n)."""
    lines, fast = stretch.data.shape
    line_clocks = fast + PAUSE_CLOCKS
    clocks = stretch.count * line_clocks
    # in float32, as the official step has them: it decides which frequencies are fitted
    most = lines * line_clocks
    low = jnp.arange(math.ceil(ROLL_OFF_HZ * CLOCK_S * most) + 1)
    high = clocks // 2 - jnp.arange(math.floor((0.5 - ROLL_ON_HZ * CLOCK_S) * most) + 1)
    k = jnp.concatenate([low, high])
    gain = jnp.where(jnp.concatenate([low < high[-1], high > 0]), _gain(k / (clocks * CLOCK_S)), 0)
    active = gain > 0

    def phases(start: Array) -> Complex[Array, "position frequency"]:
        turns = (start[:, None] * k) % jnp.maximum(clocks, 1) / jnp.maximum(clocks, 1)
        return jnp.exp(2j * jnp.pi * turns).astype(jnp.complex64)

    by_line, along = phases(jnp.arange(lines) * line_clocks), phases(jnp.arange(fast))
    basis = (by_line[:, None] * along).reshape(lines * fast, -1)
    weight = jnp.where(stretch.unlit, 1 / _density(stretch), 0).ravel().astype(jnp.float32) ** 2
    left = (jnp.conj(basis) * weight[:, None]).T
    normal = jnp.where(active[:, None] & active, left @ basis, 0) + RIDGE * weight.sum() * jnp.eye(len(k))
    right = jnp.where(active, left @ stretch.data.ravel().astype(jnp.complex64), 0).astype(jnp.complex128)
    amplitude = (
        jnp.linalg.solve(normal.astype(jnp.complex128), right) * gain * jnp.where((k == 0) | (2 * k == clocks), 1, 2)
    )
    model = jnp.real(basis @ amplitude.astype(jnp.complex64)).reshape(lines, fast)
    return jnp.where((jnp.arange(lines) < stretch.count)[:, None], model, 0).astype(stretch.data.dtype)


def _gain(frequency_hz: Float[Array, "frequency"]) -> Float[Array, "frequency"]:
    """Share of each frequency that is taken out."""
    falling = 0.5 + 0.5 * jnp.cos(jnp.pi * (frequency_hz - LOW_HZ) / (ROLL_OFF_HZ - LOW_HZ))
    rising = 0.5 - 0.5 * jnp.cos(jnp.pi * (frequency_hz - ROLL_ON_HZ) / (HIGH_HZ - ROLL_ON_HZ))
    low = jnp.where(frequency_hz < LOW_HZ, 1, jnp.where(frequency_hz < ROLL_OFF_HZ, falling, 0))
    return jnp.where(frequency_hz >= HIGH_HZ, 1, jnp.where(frequency_hz >= ROLL_ON_HZ, rising, low))


def _density(stretch: _Stretch) -> Float[Array, "line fast"]:
    """Share of unlit pixels about each, over a Gaussian in time; the end of a stretch meets its beginning."""
    lines, fast = stretch.data.shape
    line_clocks = fast + PAUSE_CLOCKS
    reach = math.ceil(DENSITY_REACH * DENSITY_CLOCKS / line_clocks)
    number, pixel = jnp.arange(lines), np.arange(fast)
    total = jnp.zeros((lines, fast))
    for step in range(-reach, reach + 1):
        delay = step * line_clocks + pixel[:, None] - pixel - DENSITY_DELAY_CLOCKS
        share = np.exp(-0.5 * (delay / DENSITY_CLOCKS) ** 2) / (DENSITY_CLOCKS * math.sqrt(2 * math.pi))
        from_line = (number - step) % jnp.maximum(stretch.count, 1)
        total = total + stretch.unlit[from_line].astype(float) @ share.T
    return jnp.where(stretch.unlit, total, 1)
