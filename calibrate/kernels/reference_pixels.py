"""Reference-pixel levels of one frame or many, in the order of read-out: axes `..., slow, fast`.

Lines along the slow axis at its two ends ("ends") give the level of each amplifier in odd and even columns; columns at
the two ends of the fast axis ("sides") follow the drift from line to line. Source: jwst 3.0.0 refpix documentation.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.kernels import order
from uptheramp.calibrate.kernels.clipped import clipped_mean


def column_levels(
    frames: Float[Array, "... line fast"], usable: Bool[Array, "line fast"], amplifiers: int, parities: int, clip: float
) -> tuple[Float[Array, "... fast"], Bool[Array, "fast"]]:
    """Clipped mean of reference lines by amplifier and column parity, spread over the columns; and where it exists."""
    *lead, lines, fast = frames.shape
    block = fast // (amplifiers * parities)

    def blocks(x):
        parts = x.reshape(*x.shape[:-2], lines, amplifiers, block, parities)
        parts = jnp.moveaxis(parts, -4, -2)  # amplifier, block, line, parity
        return jnp.moveaxis(parts, -1, -3).reshape(*x.shape[:-2], amplifiers, parities, block * lines)

    values = blocks(frames)
    level, exists = clipped_mean(values, jnp.broadcast_to(blocks(usable), values.shape), clip)

    def spread(x):
        columns = jnp.repeat(x[..., None, :], block, axis=-2)  # amplifier, block, parity
        return columns.reshape(*x.shape[:-2], fast)

    return spread(level), spread(exists)


def average_where(
    pairs: list[tuple[Float[Array, "..."], Bool[Array, "..."]]],
) -> tuple[Float[Array, "..."], Bool[Array, "..."]]:
    """Mean of the levels that exist, 0 where none does; and where any does."""
    total = sum(jnp.where(exists, level, 0) for level, exists in pairs)
    count = sum(exists.astype(level.dtype) for level, exists in pairs)
    return total / jnp.maximum(count, 1), jnp.greater(count, 0)


def smoothed_side(
    columns: Float[Array, "... slow side"], usable: Bool[Array, "slow side"], length: int, at_edge: tuple[bool, bool]
) -> tuple[Float[Array, "... slow"], Bool[Array, "... slow"]]:
    """Running median of side reference pixels over `length` lines (odd), and where it exists.

    At an end of the window that is the detector's edge lines are reflected; elsewhere there are just fewer.
    """
    slow = columns.shape[-2]
    lines = np.arange(slow)[None, :] + np.arange(length)[:, None] - length // 2
    inside = (lines >= 0) & (lines < slow)
    if at_edge[0]:
        lines, inside = np.where(lines < 0, -lines, lines), inside | (lines < 0)
    if at_edge[1]:
        lines, inside = np.where(lines >= slow, 2 * slow - 2 - lines, lines), inside | (lines >= slow)
    lines = np.clip(lines, 0, slow - 1)
    window = jnp.moveaxis(columns[..., lines, :], (-3, -1), (0, 1))  # length, side, ..., slow
    allowed = jnp.moveaxis(usable[lines, :] & inside[..., None], (-3, -1), (0, 1))
    allowed = allowed.reshape(*allowed.shape[:2], *([1] * (columns.ndim - 2)), slow)
    level = order.median(
        window.reshape(-1, *window.shape[2:]), jnp.broadcast_to(allowed, window.shape).reshape(-1, *window.shape[2:])
    )
    exists = ~jnp.isnan(level)
    return jnp.where(exists, level, 0), exists
