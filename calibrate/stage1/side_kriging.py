"""The drift of each line from side reference pixels, by the best linear estimate.

After the ends were subtracted, the level of line r in output o is x_o(r) = A [c(r) + i_o(r)]: c is shared by all
outputs and i_o each output's own, stationary along the slow axis; A subtracts the mean over the reference lines of the
ends. One side sees the first output, the other the last one, each by the mean m of its pixels, with noise N:

    level_o = <x_o m^T> (<m m^T> + N)^-1 m.

The inner outputs, which no side sees, get only what all share. c and i come from the structure functions of a sample
(across the sides, where noise has no part, and within them), N from the scatter within a line.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels import line_levels as kernel
from uptheramp.calibrate.stage1.learned import LinePredictor

FREE = 1e4  # variance of a level common to all lines, in terms of the drift's: as good as unknown


class Window(NamedTuple):
    """Where reference pixels stand: columns at the sides of the fast axis, lines at the ends of the slow axis."""

    lines: int
    sides: list[slice]
    ends: list[slice]
    outputs: int


def learn(
    sides: Sequence[Float[Array, "integration group line pixel"]], usable: Bool[Array, "slow fast"], window: Window
) -> LinePredictor:
    """Measure drift and noise on the sides of a sample whose ends were subtracted; return the estimator they ask for.

    Levels that never change in the sample (errors of the superbias) are no drift, and neither are those that hold for
    one integration (noise of the reset): no slope sees them. Bad pixels are decided here, once.
    """
    good, variance, noise, means = [], [], [], []
    for side, frames in zip(window.sides, sides, strict=True):
        values = _within_integrations(frames).reshape(-1, *frames.shape[2:]).astype(jnp.float64)
        deviation = values - values.mean(0)
        used, by_frame = kernel.noise(deviation, usable[:, side])
        count = used.sum(-1)
        good.append(used)
        variance.append(jnp.where(used, by_frame.mean(), 0))
        noise.append(jnp.where(count > 0, by_frame[:, None] / jnp.maximum(count, 1), jnp.inf))
        means.append(_mean(deviation, _share(used)))
    return known(*drift(means, noise), good, variance, window)


def known(
    common: Float[Array, "line line"],
    own: Float[Array, "line line"],
    good: list[Bool[Array, "line pixel"]],
    variance: list[Float[Array, "line pixel"]],
    window: Window,
) -> LinePredictor:
    """Return the estimator for known covariances of the drift and variances of the noise of the pixels of each side."""
    reference = jnp.zeros(window.lines)
    for rows in window.ends:
        reference = reference.at[rows].add(1 / (rows.stop - rows.start) / len(window.ends))
    seen = [0 if side.start == 0 else window.outputs - 1 for side in window.sides]
    share = [_share(used) for used in good]
    noise = [
        jnp.where(used.any(-1), (each * part**2).sum(-1), jnp.inf)
        for used, each, part in zip(good, variance, share, strict=True)
    ]
    line = weights(common, own, noise, reference, seen, window.outputs)
    return LinePredictor(jnp.concatenate(share, -1).astype(jnp.float32), line.astype(jnp.float32))


def _share(good: Bool[Array, "line pixel"]) -> Float[Array, "line pixel"]:
    return good / jnp.maximum(good.sum(-1, keepdims=True), 1)


def _mean(values: Float[Array, "*any line pixel"], share: Float[Array, "line pixel"]) -> Float[Array, "*any line"]:
    return (jnp.where(share > 0, values, 0) * share).sum(-1)


def drift(
    means: list[Float[Array, "frame line"]], noise: list[Float[Array, "frame line"]]
) -> tuple[Float[Array, "line line"], Float[Array, "line line"]]:
    """Covariance of what all outputs share and of what each has of its own; with one side all counts as shared."""
    shape = kernel.shapes(means[0].shape[-1])
    known = jnp.all(jnp.stack([jnp.isfinite(n).all(0) for n in noise]), 0)
    number = kernel.pairs(jnp.full(len(known), 0.5), known)

    def within(m: Float[Array, "frame line"], n: Float[Array, "frame line"]) -> Float[Array, "frame lag"]:
        return kernel.structure(m, m, known) - kernel.pairs(n, known)

    def covariance(measured: Float[Array, "frame lag"]) -> Float[Array, "line line"]:
        line = jnp.arange(len(known))
        return (kernel.fitted(measured, number, shape) @ shape)[jnp.abs(line[:, None] - line)]

    inside = sum(within(m, n) for m, n in zip(means, noise, strict=True)) / len(means)
    across = kernel.structure(means[0], means[-1], known) if len(means) > 1 else inside
    return covariance(across), covariance(inside - across)


def weights(
    common: Float[Array, "line line"],
    own: Float[Array, "line line"],
    noise: list[Float[Array, "line"]],
    reference: Float[Array, "line"],
    seen: list[int],
    outputs: int,
) -> Float[Array, "output line measured"]:
    """Weights of the means of the sides in the level of each line and output.

    `reference` is the weight of each line in the level that the subtraction of the ends took (0: nothing was), `seen`
    the output that each side sees. Where no ends were subtracted an offset of all lines is no drift: it passes whole.
    """
    left = jnp.eye(len(reference)) - reference[None, :]
    common = common + FREE * jnp.diagonal(common + own).mean()
    common, own = left @ common @ left.T, left @ own @ left.T
    target = jnp.stack([jnp.concatenate([common + own * (o == s) for s in seen], -1) for o in range(outputs)])
    measured = jnp.concatenate([target[s] for s in seen])
    return kernel.predictor(target, measured, jnp.concatenate(noise))


def level(
    frames: Float[Array, "*any slow fast"], predictor: LinePredictor, window: Window
) -> Float[Array, "*any slow fast"]:
    """Level of each line and output, spread over the pixels of the output."""
    means, start = [], 0
    for side in window.sides:
        stop = start + side.stop - side.start
        means.append(_mean(frames[..., side], predictor.pixel[:, start:stop]))
        start = stop
    # summed in float64: in float32 the order of the sum, so the size of the chunk, would show
    line, measured = predictor.line.astype(jnp.float64), jnp.concatenate(means, -1).astype(jnp.float64)
    of_output = jnp.einsum("ors,...s->...ro", line, measured).astype(frames.dtype)
    return jnp.repeat(of_output, frames.shape[-1] // predictor.line.shape[0], axis=-1)


def _within_integrations(frames: Float[Array, "integration group slow fast"]) -> Float[Array, "..."]:
    """Take each pixel's mean over the groups out, and give back the variance that this costs."""
    groups = frames.shape[1]
    if groups == 1:
        return frames
    return (frames - frames.mean(1, keepdims=True)) * (groups / (groups - 1)) ** 0.5
