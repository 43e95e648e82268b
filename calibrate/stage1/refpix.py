"""Follow the drift of the electronics with pixels that see no light."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.kernels import reference_pixels as kernel
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step


class RefpixParams(eqx.Module):
    """Names and defaults of the official step."""

    odd_even_columns: bool = eqx.field(static=True, default=True)
    use_side_ref_pixels: bool = eqx.field(static=True, default=True)
    side_smoothing_length: int = eqx.field(static=True, default=11)
    side_gain: float | jax.Array = 1.0
    siglimit: float | jax.Array = 3.0


@step(cite="jwst 3.0.0 refpix")
def refpix(state: Ramps, refs: None, params: RefpixParams) -> tuple[Ramps, None]:
    """Subtract the level of the reference pixels from every group, as the window's `reference_correction` says.

    `amplifiers` with four outputs: clipped mean by amplifier and column parity of the lines at the ends of the slow
    axis, then the running median of the columns at its sides. One output: one clipped mean by parity of all reference
    pixels. `edge_rows`: the same, with dark lines at the ends in their place. `none`: nothing.
    """
    r = state.readout
    if r.reference_correction == "none":
        return state, None
    turned = abs(r.fast_axis) == 2  # the read-out order puts the fast axis last
    frames = jnp.swapaxes(state.data, -1, -2) if turned else state.data
    dq = state.pixeldq.T if turned else state.pixeldq
    usable = (dq & flags.DO_NOT_USE) == 0
    if r.outputs > 1:
        frames = _by_amplifier(frames, usable, r, params)
    else:
        frames = _by_parity(frames, usable & _reference(dq, r), params)
    data = jnp.swapaxes(frames, -1, -2) if turned else frames
    return eqx.tree_at(lambda s: s.data, state, data), None


def _ends(r: Readout) -> tuple[int, int]:
    """Reference lines at the two ends of the slow axis."""
    return r.reference_rows if abs(r.slow_axis) == 2 else r.reference_columns


def _sides(r: Readout) -> tuple[int, int]:
    """Reference columns at the two ends of the fast axis."""
    return r.reference_columns if abs(r.slow_axis) == 2 else r.reference_rows


def _reference(dq: Array, r: Readout) -> Bool[Array, "slow fast"]:
    """Reference pixels, or the dark lines that stand in for them."""
    reference = (dq & flags.REFERENCE_PIXEL) != 0
    line = jnp.arange(dq.shape[0])[:, None]
    return reference | (line < r.edge_rows) | (line >= dq.shape[0] - r.edge_rows)


def _by_parity(
    frames: Float[Array, "integration group slow fast"], reference: Bool[Array, "slow fast"], params: RefpixParams
) -> Float[Array, "integration group slow fast"]:
    parities = 2 if params.odd_even_columns else 1
    level, exists = kernel.column_levels(frames, reference, 1, parities, params.siglimit)
    return frames - jnp.where(exists, level, 0)[..., None, :]


def _by_amplifier(
    frames: Float[Array, "integration group slow fast"],
    usable: Bool[Array, "slow fast"],
    r: Readout,
    params: RefpixParams,
) -> Float[Array, "integration group slow fast"]:
    parities = 2 if params.odd_even_columns else 1
    slow, fast = frames.shape[-2:]
    first, last = _ends(r)
    ends = [
        kernel.column_levels(frames[..., rows, :], usable[rows], r.outputs, parities, params.siglimit)
        for rows, width in ((slice(0, first), first), (slice(slow - last, slow), last))
        if width
    ]
    if ends:
        level, _ = kernel.average_where(ends)
        frames = frames - level[..., None, :]
    first, last = _sides(r)
    if not params.use_side_ref_pixels or first + last == 0:
        return frames
    at_edge = tuple(width > 0 for width in _ends(r))
    length = params.side_smoothing_length // 2 * 2 + 1
    sides = [
        kernel.smoothed_side(frames[..., columns], usable[:, columns], length, at_edge)
        for columns, width in ((slice(0, first), first), (slice(fast - last, fast), last))
        if width
    ]
    level, _ = kernel.average_where(sides)
    return frames - params.side_gain * level[..., None]
