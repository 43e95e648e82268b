"""Reference pixels among the others (NIRSpec's IRS2 read-out): which are bad, and taking out what they tell."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from uptheramp.calibrate import flags
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.kernels import irs2 as kernel
from uptheramp.calibrate.kernels.interleaved import IS_REFERENCE, LENGTH, NORMAL, OUTPUTS, REFERENCE, SECTION, is_normal
from uptheramp.calibrate.references.refpix import PAIR, Refpix
from uptheramp.calibrate.state import Ramps

PERIOD = NORMAL + REFERENCE
CLIP_ROUNDS = 5
EXTRA = np.flatnonzero(~is_normal(backwards=False))  # reads of a line that are no pixels of the image
_REFERENCES = np.tile(IS_REFERENCE, OUTPUTS + 1)


class BadReferences(eqx.Module):
    """Reads of a line, in the order of the detector, whose reference pixels are not to be believed."""

    bad: Bool[Array, "read"]


def bad_references(state: Ramps, threshold: float | Array) -> BadReferences:
    """Flagged reference pixels, and those that stand out among their output's in any integration.

    By how far its two reads are apart, by their mean or by their scatter (all groups and lines): beyond `threshold`
    standard deviations, of what is left after clipping, above the mean.
    """
    assert state.interleaved_dq is not None
    flagged = _flagged(state.interleaved_dq, state.readout)

    def of_integration(extra: Float[Array, "group extra x"]) -> Bool[Array, "read"]:
        reads = (
            jnp.zeros((LENGTH, *extra.shape[::2]), extra.dtype)
            .at[EXTRA]
            .set(jnp.moveaxis(_ordered(extra, state.readout), -1, 0))
        )
        pairs = reads[_REFERENCES].reshape(OUTPUTS + 1, -1, PAIR, reads[0].size)
        apart = jnp.abs(pairs[:, :, 1] - pairs[:, :, 0]).mean(-1)
        good = ~flagged[_REFERENCES].reshape(*pairs.shape[:2], PAIR).any(-1)
        high = jnp.zeros_like(good)
        for figure in (apart, pairs.mean((2, 3)), pairs.std((2, 3))):
            mean, deviation = _clipped(figure, good, threshold)
            high = high | (good & (figure - mean > threshold * deviation))
        return jnp.zeros(LENGTH, bool).at[_REFERENCES].set(jnp.repeat(high.ravel(), PAIR))

    return BadReferences(flagged | jax.lax.map(of_integration, state.interleaved).any(0))


def correct(state: Ramps, reference: Refpix, bad: BadReferences) -> Float[Array, "integration group y x"]:
    """Every group less what the reference output and the reference pixels among its pixels tell of it.

    Bad ones are replaced first; then `kernels.irs2` takes each group less the mean of its ramp.
    """
    assert state.interleaved is not None
    r = state.readout
    first, second, weight = _substitutes(bad.bad, reference.bad, -1 if r.fast_axis < 0 else 1)
    alpha, beta = (jax.lax.complex(x[..., 0], x[..., 1]) for x in (reference.alpha, reference.beta))

    def frame(of: tuple[Float[Array, "y x"], Float[Array, "extra x"]]) -> Float[Array, "y x"]:
        image, extra = _ordered(of[0], r), _ordered(of[1], r)
        references = extra[:, SECTION:].reshape(len(extra), OUTPUTS, -1)
        outputs = image.reshape(len(image), OUTPUTS, -1)
        done = kernel.corrected(outputs, references, extra[:, :SECTION], alpha, beta)
        return _ordered(done.reshape(image.shape), r)

    def integration(of: tuple[Float[Array, "group y x"], Float[Array, "group extra x"]]) -> Float[Array, "group y x"]:
        extra = _ordered(of[1], r)
        extra = _ordered(weight * extra[..., first] + weight * extra[..., second], r)
        image, mean = _deviation(of[0])
        return (jax.lax.map(frame, (image, _deviation(extra)[0])) + mean).astype(image.dtype)

    return jax.lax.map(integration, (state.data, state.interleaved))


def _deviation(x: Float[Array, "group y x"]) -> tuple[Float[Array, "group y x"], Float[Array, "y x"]]:
    """From the mean of the groups, and that; exactly 0 where a group is at the mean, whatever the rounding."""
    wide = x.astype(jnp.float64)
    total = wide.sum(0)
    mean = total / len(x)
    return jnp.where(wide * len(x) == total, 0, wide - mean).astype(x.dtype), mean


def _ordered(x: Array, r: Readout) -> Array:
    """From (y, x) to (line, read) in the order of the detector, and back."""
    if r.slow_axis < 0:
        x = x[..., ::-1, ::-1]
    return jnp.swapaxes(x, -1, -2)


def _flagged(dq: Array, r: Readout) -> Bool[Array, "read"]:
    """Reads of which any line is flagged BAD_REF_PIXEL."""
    any_line = ((_ordered(dq, r) & flags.BAD_REF_PIXEL) != 0).any(0)
    return jnp.zeros(LENGTH, bool).at[EXTRA].set(any_line)


def _clipped(
    x: Float[Array, "section n"], good: Bool[Array, "section n"], threshold: float | Array
) -> tuple[Float[Array, "section 1"], Float[Array, "section 1"]]:
    """Mean and standard deviation of what is within so many deviations of the median, clipped again and again."""
    kept = good

    def moments(kept: Bool[Array, "section n"]) -> tuple[Array, Array]:
        count = jnp.maximum(kept.sum(-1, keepdims=True), 1)
        mean = jnp.where(kept, x, 0).sum(-1, keepdims=True) / count
        return mean, jnp.sqrt(jnp.where(kept, (x - mean) ** 2, 0).sum(-1, keepdims=True) / count)

    for _ in range(CLIP_ROUNDS):
        middle = jnp.nanmedian(jnp.where(kept, x, jnp.nan), -1, keepdims=True)
        kept = kept & (jnp.abs(x - middle) <= threshold * moments(kept)[1])
    return moments(kept)


def _substitutes(
    bad: Bool[Array, "read"], listed: Bool[Array, "row read"], forward: int
) -> tuple[Int[Array, "extra"], Int[Array, "extra"], Float[Array, "extra"]]:
    """Of which two extra reads each is the sum, and with which weight: itself twice by half, unless it is bad.

    Those of `bad` are replaced at once; y runs `forward` (1 or -1) along the detector's fast axis. Then those of each
    row that are new are.
    """
    own = jnp.arange(LENGTH)
    first, second, weight = own, own, jnp.full(LENGTH, 0.5, jnp.float32)
    known = jnp.zeros_like(bad)
    for now, direction in ((bad, forward), *((row, 1) for row in listed)):
        new = now & ~known
        known = known | now
        found = _neighbours(known, direction)
        first, second, weight = (jnp.where(new, a, b) for a, b in zip(found, (first, second, weight), strict=True))
    place = np.zeros(LENGTH, int)
    place[EXTRA] = np.arange(len(EXTRA))
    return jnp.asarray(place)[first[EXTRA]], jnp.asarray(place)[second[EXTRA]], weight[EXTRA]


def _neighbours(bad: Bool[Array, "read"], direction: int) -> tuple[Array, Array, Array]:
    """What could replace each read: the mean of the same ones a block before and after, or the good one of them.

    Else the other reference pixel of its block, the one before first; 0 where that is bad too.
    """
    own = np.arange(LENGTH)

    def good(step: int) -> tuple[np.ndarray, Bool[Array, "read"]]:
        at = own + step
        within = at // SECTION == own // SECTION
        at = np.where(within, at, 0)
        return at, within & ~bad[at]

    (low, has_low), (high, has_high) = good(-PERIOD), good(PERIOD)
    (near, has_near), (far, has_far) = (
        (at, has & _REFERENCES[at]) for at, has in (good(-PAIR * direction), good(PAIR * direction))
    )
    beside = jnp.where(has_near, near, far)
    first = jnp.where(has_low, low, jnp.where(has_high, high, beside))
    second = jnp.where(has_high, high, jnp.where(has_low, low, beside))
    return first, second, jnp.where(has_low | has_high | has_near | has_far, 0.5, 0).astype(jnp.float32)
