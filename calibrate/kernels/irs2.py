"""The reference signal of one IRS2 frame, by Fourier transforms of its reads in the order of time.

A line of an output takes 712 clocks: its 640 reads, one clock for each step to the reference pixels and one back, and 8
at its end. What the reference output and an output's own reference pixels say is added up by frequency, with factors
that were measured in darks, and taken out of the output. All of it is linear, but for reads that are exactly 0: those
are not known. Source: Rauscher et al. (2017) PASP 129 105003; jwst 3.0.0 refpix.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from uptheramp.calibrate.kernels.interleaved import BLOCKS, IS_REFERENCE, NORMAL, OUTPUTS, REFERENCE, SIDE

JUMP, LINE_END = 2, 8  # clocks of the steps to the reference pixels and back, and after a line
BLOCK = NORMAL + REFERENCE + JUMP
CLOCKS = BLOCKS * BLOCK + LINE_END
SAMPLES = SIDE * CLOCKS
FREQUENCIES = SAMPLES // 2 + 1
EDGE = 4  # lines of reference pixels at either end
ROUNDS = 3  # of filling gaps by the filter
WINDOW = np.sin(np.pi * np.arange(1, 32) / 32).astype(np.float32)  # weights of the first guess for gaps

_number = np.arange(BLOCKS * NORMAL)
_reference = np.arange(BLOCKS * REFERENCE)
# clocks of an output's normal and reference reads
AT = np.concatenate(
    [
        _number + (REFERENCE + JUMP) * ((_number + NORMAL // 2) // NORMAL),
        _reference + (NORMAL + JUMP) * (_reference // REFERENCE) + NORMAL // 2 + 1,
    ]
)
NORMAL_AT = AT[: len(_number)]
BACKWARDS = np.array([True, False, True, False, True])  # the reference output and the four of the image
# of the four reads of reference pixels, those that stand for the clocks around and between them
STANDS_FOR = (0, 2, 0, 2, 1, 3, 1, 3)
CLOCK = (np.arange(SAMPLES, dtype=np.float32) - np.float32((SAMPLES - 1) / 2)).reshape(SIDE, CLOCKS)[:, AT]


def low_pass() -> Float[np.ndarray, "frequency"]:
    """Filter of the reference output: 1, then a cosine, 0, and the same mirrored, for the tones at high frequency."""
    edge = 110000 // BLOCK
    free = CLOCKS // BLOCK * SIDE // 2 - edge // 2
    fall = (np.cos(np.arange(edge) * np.pi / edge) + 1) / 2
    zeros = np.zeros(SAMPLES // 2 - 2 * free - 2 * edge)
    return np.concatenate([np.ones(free), fall, zeros, fall[::-1], np.ones(free + 1)]).astype(np.float32)


def corrected(
    outputs: Float[Array, "line output normal"],
    references: Float[Array, "line output reference"],
    reference_output: Float[Array, "line read"],
    alpha: Complex[Array, "output frequency"],
    beta: Complex[Array, "output frequency"],
) -> Float[Array, "line output normal"]:
    """The outputs of a frame, less the mean of their pixels over the ramp, without what the references tell.

    `alpha` and `beta` weigh the spectra of the reference output and of the output's own reference pixels.
    """
    normal = jnp.concatenate([reference_output[:, None, ~IS_REFERENCE], outputs], 1)
    beside = jnp.concatenate([reference_output[:, None, IS_REFERENCE], references], 1)
    reads = _without_line(jnp.moveaxis(jnp.concatenate([_turned(normal), _turned(beside)], -1), 1, 0))
    spectrum = jnp.fft.rfft(_filled(_by_clock(reads[0])).ravel())
    own = jnp.fft.rfft(_stretched(reads[1:, :, len(NORMAL_AT) :]).reshape(OUTPUTS, SAMPLES))
    level = jnp.fft.irfft(beta * own + alpha * spectrum, SAMPLES).reshape(OUTPUTS, SIDE, CLOCKS)
    cleaned = reads[1:, :, : len(NORMAL_AT)] - level[..., NORMAL_AT]
    back = jnp.where(BACKWARDS[1:, None, None], cleaned[..., ::-1], cleaned)
    return jnp.moveaxis(back, 0, 1)


def _turned(x: Float[Array, "line section read"]) -> Float[Array, "line section read"]:
    """In the order of time: every other output is read from its end."""
    return jnp.where(BACKWARDS[:, None], x[..., ::-1], x)


def _without_line(x: Float[Array, "section line read"]) -> Float[Array, "section line read"]:
    """Take out the straight line in time that the edge lines of each section show."""
    edges = np.r_[:EDGE, SIDE - EDGE : SIDE]
    known = (x[:, edges] != 0).astype(jnp.float64)
    time, value = CLOCK[edges].astype(np.float64), x[:, edges].astype(jnp.float64)

    def mean(of: Array) -> Float[Array, "section 1 1"]:
        return (known * of).sum((1, 2), keepdims=True) / jnp.maximum(known.sum((1, 2), keepdims=True), 1)

    spread = mean(time**2) - mean(time) ** 2
    slope = jnp.where(spread > 0, (mean(time * value) - mean(time) * mean(value)) / jnp.where(spread > 0, spread, 1), 0)
    start = mean(value) - slope * mean(time)
    return jnp.where(x != 0, x - (start.astype(x.dtype) + slope.astype(x.dtype) * CLOCK), 0)


def _by_clock(x: Float[Array, "line read"]) -> Float[Array, "line clock"]:
    return jnp.zeros((SIDE, CLOCKS), x.dtype).at[:, AT].set(x)


def _filled(x: Float[Array, "line clock"]) -> Float[Array, "line clock"]:
    """Fill what is not known from its neighbours, then all but the normal reads by what passes the filter."""
    known = x != 0
    near, weight = _window_sum(x), _window_sum(known.astype(x.dtype))
    first = jnp.where(known, x, jnp.where(weight > 0, near / jnp.where(weight > 0, weight, 1), 0))
    keep = np.zeros(CLOCKS, bool)
    keep[NORMAL_AT] = True
    passed = first
    for _ in range(ROUNDS):
        smooth = jnp.fft.irfft(jnp.fft.rfft(passed.ravel()) * low_pass(), SAMPLES).reshape(SIDE, CLOCKS)
        passed = jnp.where(keep, first, smooth)
    return passed


def _window_sum(x: Float[Array, "line clock"]) -> Float[Array, "line clock"]:
    """Weighted sum over neighbours in time, the end joined to the start."""
    half, flat = len(WINDOW) // 2, x.ravel()
    around = jnp.concatenate([flat[-half:], flat, flat[:half]])
    return sum(weight * around[i : i + SAMPLES] for i, weight in enumerate(WINDOW)).reshape(x.shape)


def _stretched(references: Float[Array, "output line reference"]) -> Float[Array, "output line clock"]:
    """Reference reads over the clocks around them; 0 elsewhere."""
    blocks = references.reshape(*references.shape[:2], BLOCKS, REFERENCE)[..., STANDS_FOR]
    before = (NORMAL - REFERENCE) // 2 + 1
    blocks = jnp.pad(blocks, [(0, 0)] * 3 + [(before, BLOCK - before - len(STANDS_FOR))])
    return jnp.pad(blocks.reshape(*references.shape[:2], -1), [(0, 0)] * 2 + [(0, LINE_END)])
