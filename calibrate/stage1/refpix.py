"""Follow the drift of the electronics with pixels that see no light."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.kernels import reference_pixels as kernel
from uptheramp.calibrate.kernels import sirs
from uptheramp.calibrate.kernels.clipped import clipped_mean
from uptheramp.calibrate.references.refpix import Refpix
from uptheramp.calibrate.references.sirskernel import Sirskernel
from uptheramp.calibrate.stage1 import irs2, side_kriging, zeroframe
from uptheramp.calibrate.stage1.learned import LinePredictor
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step

SIDE_ESTIMATORS = ("median", "kriging")
ALGORITHMS = ("median", "sirs")


class RefpixRefs(eqx.Module):
    """What refpix takes from the library, and what it learns on a sample of the exposure; `refpix` is for IRS2."""

    line_predictor: LinePredictor | irs2.BadReferences | None
    refpix: Refpix | None = None
    sirskernel: Sirskernel | None = None


class RefpixParams(eqx.Module):
    """Names and defaults of the official step.

    `side_estimator` says how the level of a line follows from the side reference pixels: "median", the running median
    over `side_smoothing_length` lines (official), or "kriging", the best linear estimate for the drift and the noise
    that a sample of the exposure shows. A median hands on the noise and the rounding of one pixel; the linear estimate
    averages them, and gives back less than the whole level where the reference pixels are too noisy to know it.
    `ovr_corr_mitigation_ftr` is how far, in standard deviations, a reference pixel of an IRS2 frame may stand out.
    `refpix_algorithm`, for full frames: "median", as above, or "sirs", by the kernels of a SIRSKERNEL reference, which
    are `halfwidth` lines long to either side and smoothed by `gaussmooth` lines; pixels beyond `sigreject` standard
    deviations do not count.
    """

    odd_even_columns: bool = eqx.field(static=True, default=True)
    odd_even_rows: bool = eqx.field(static=True, default=True)
    use_side_ref_pixels: bool = eqx.field(static=True, default=True)
    side_smoothing_length: int = eqx.field(static=True, default=11)
    side_gain: float | jax.Array = 1.0
    siglimit: float | jax.Array = 3.0
    ovr_corr_mitigation_ftr: float | jax.Array = 3.0
    refpix_algorithm: str = eqx.field(static=True, default="median")
    sigreject: float | jax.Array = 4.0
    gaussmooth: float | jax.Array = 1.0
    halfwidth: int = eqx.field(static=True, default=30)
    side_estimator: str = eqx.field(static=True, default="median")


def learn_predictor(sample: Ramps, refs: RefpixRefs, params: RefpixParams) -> LinePredictor | irs2.BadReferences | None:
    """Learn from the sample how its side reference pixels tell the drift of the lines, if they are to be used so.

    Of IRS2 frames: which of their reference pixels are bad.

    Raises
    ------
    InputError
        If there is no such estimator or algorithm, or none for this window.
    """
    if params.side_estimator not in SIDE_ESTIMATORS:
        raise InputError(f"refpix.side_estimator={params.side_estimator}: expected {' or '.join(SIDE_ESTIMATORS)}")
    if params.refpix_algorithm not in ALGORITHMS:
        raise InputError(f"refpix.refpix_algorithm={params.refpix_algorithm}: expected {' or '.join(ALGORITHMS)}")
    if params.refpix_algorithm == "sirs":
        _check_sirs(sample.readout, refs.sirskernel, params)
        return None
    if sample.interleaved is not None:
        return irs2.bad_references(sample, params.ovr_corr_mitigation_ftr)
    r = sample.readout
    frames, dq = _in_read_order(sample)
    window = side_window(r, frames.shape[-2:])
    if params.side_estimator != "kriging" or not params.use_side_ref_pixels or window is None:
        return None
    usable = (dq & flags.DO_NOT_USE) == 0

    def sides(integration: Float[Array, "group slow fast"]) -> list[Float[Array, "group slow pixel"]]:
        rest = (integration - _ends_level(integration[None], usable, r, params))[0]
        return [rest[..., side] for side in window.sides]

    return side_kriging.learn(jax.lax.map(sides, frames), usable, window)


def _check_sirs(r: Readout, reference: Sirskernel | None, params: RefpixParams) -> None:
    if r.reference_correction != "amplifiers" or r.outputs == 1 or min(*_ends(r), *_sides(r)) == 0:
        raise InputError("refpix.refpix_algorithm=sirs: windows take median (sirs: full near-infrared frames)")
    if reference is None or len(reference.left) == 0:
        raise InputError("refpix.refpix_algorithm=sirs: no SIRSKERNEL reference of this detector; take median")
    longest = reference.left.shape[1] - 1
    if not 0 < params.halfwidth < longest:
        raise InputError(f"refpix.halfwidth={params.halfwidth}: expected 1 to {longest - 1} lines")


def side_window(r: Readout, shape: tuple[int, int]) -> side_kriging.Window | None:
    """Where the reference pixels of a window (slow, fast) stand; None where the sides are not used."""
    if r.reference_correction != "amplifiers" or r.outputs == 1 or sum(_sides(r)) == 0:
        return None
    return side_kriging.Window(shape[0], _slices(_sides(r), shape[1]), _slices(_ends(r), shape[0]), r.outputs)


@step(cite="jwst 3.0.0 refpix; Cressie 1993 section 3.2", learned="line_predictor", learn=learn_predictor)
def refpix(state: Ramps, refs: RefpixRefs, params: RefpixParams) -> tuple[Ramps, None]:
    """Subtract the level of the reference pixels from every group, as the window's `reference_correction` says.

    `amplifiers` with four outputs: clipped mean by amplifier and column parity of the lines at the ends of the slow
    axis, then what the columns at its sides say of the drift from line to line. One output: one clipped mean by parity
    of all reference pixels. `edge_rows`: the same, with dark lines at the ends in their place. `interleaved` (MIRI's
    full frame): mean of both sides by output and row parity, of the rise since the first group. `none`: nothing. Frames
    with reference pixels among the others (IRS2) are corrected by those instead (`stage1.irs2`).
    """
    if state.interleaved is not None:
        assert refs.refpix is not None and isinstance(refs.line_predictor, irs2.BadReferences)
        return replace(state, data=irs2.correct(state, refs.refpix, refs.line_predictor)), None
    if state.readout.reference_correction == "none":
        return state, None
    data = _corrected(state, params, refs)

    def frame_corrected(frame: Array) -> Array:
        return _corrected(replace(state, data=frame[:, None]), params, refs)[:, 0]

    return replace(state, data=data, zeroframe=zeroframe.corrected(state.zeroframe, frame_corrected)), None


def _corrected(state: Ramps, params: RefpixParams, refs: RefpixRefs) -> Float[Array, "integration group y x"]:
    r = state.readout
    predictor = refs.line_predictor
    assert not isinstance(predictor, irs2.BadReferences)
    frames, dq = _in_read_order(state)
    usable = (dq & flags.DO_NOT_USE) == 0
    if r.reference_correction == "interleaved":
        return _by_interleaved_output(frames, usable, r, params)
    levels = (
        _levels(frames, usable, r, params, refs, predictor)
        if r.outputs > 1
        else [_by_parity(frames, usable & _reference(dq, r), r, params)]
    )
    # frames in the order of reading are only looked at in places; turning all of them there and back took twice as long
    data = state.data
    for level in levels:
        data = data - (jnp.swapaxes(level, -1, -2) if _turned(r) else level)
    return data


def _levels(
    frames: Float[Array, "integration group slow fast"],
    usable: Bool[Array, "slow fast"],
    r: Readout,
    params: RefpixParams,
    refs: RefpixRefs,
    predictor: LinePredictor | None,
) -> list[Float[Array, "integration group #slow #fast"]]:
    """Of the reference lines at the ends, and of those at the sides without it."""
    ends = _ends_level(frames, usable, r, params)
    rest = frames - ends
    window = side_window(r, frames.shape[-2:])
    if params.use_side_ref_pixels and params.refpix_algorithm == "sirs":
        assert refs.sirskernel is not None
        return [ends, _sirs_level(rest, r, refs.sirskernel, params)]
    if params.use_side_ref_pixels and window is not None:
        return [ends, params.side_gain * _side_level(rest, usable, window, params, predictor)]
    return [ends]


def _by_interleaved_output(
    frames: Float[Array, "integration group slow fast"],
    usable: Bool[Array, "slow fast"],
    r: Readout,
    params: RefpixParams,
) -> Float[Array, "integration group slow fast"]:
    """Subtract what the reference columns of each output rise after the first group; nothing if one has none."""
    parities = 2 if params.odd_even_rows else 1
    slow, fast = frames.shape[-2:]
    rise = frames[:, 1:] - frames[:, :1]

    def by_row(x: Array) -> Array:  # output, parity, row
        return jnp.moveaxis(x.reshape(*x.shape[:-2], slow // parities, parities, r.outputs), (-3, -1), (-1, -3))

    sides = []
    for columns in _slices(_sides(r), fast):
        values = by_row(rise[..., columns])
        sides.append(clipped_mean(values, jnp.broadcast_to(by_row(usable[:, columns]), values.shape), params.siglimit))
    complete = jnp.stack([exists.all() for _, exists in sides]).all()
    level = sum(mean for mean, _ in sides) / len(sides)
    level = jnp.tile(jnp.swapaxes(level, -1, -2), (1, 1, slow // parities, fast // r.outputs))
    return jnp.asarray(frames).at[:, 1:].add(-jnp.where(complete, level, 0))


def _turned(r: Readout) -> bool:
    """Whether the read-out order, which puts the fast axis last, is not that of the image."""
    return abs(r.fast_axis) == 2


def _in_read_order(state: Ramps) -> tuple[Float[Array, "integration group slow fast"], Array]:
    """Pixels and their flags, the fast axis last."""
    if _turned(state.readout):
        return jnp.swapaxes(state.data, -1, -2), state.pixeldq.T
    return state.data, state.pixeldq


def _ends(r: Readout) -> tuple[int, int]:
    """Reference lines at the two ends of the slow axis."""
    return r.reference_rows if abs(r.slow_axis) == 2 else r.reference_columns


def _sides(r: Readout) -> tuple[int, int]:
    """Reference columns at the two ends of the fast axis."""
    return r.reference_columns if abs(r.slow_axis) == 2 else r.reference_rows


def _border(r: Readout, shape: tuple[int, int]) -> Bool[np.ndarray, "slow fast"]:
    """Where reference pixels, or the dark lines that stand in for them, can be."""
    border = np.zeros(shape, bool)
    for lines in (*_slices(_ends(r), shape[0]), *_slices((r.edge_rows, r.edge_rows), shape[0])):
        border[lines] = True
    for columns in _slices(_sides(r), shape[1]):
        border[:, columns] = True
    return border


def _reference(dq: Array, r: Readout) -> Bool[Array, "slow fast"]:
    """Reference pixels, or the dark lines that stand in for them."""
    reference = (dq & flags.REFERENCE_PIXEL) != 0
    line = jnp.arange(dq.shape[0])[:, None]
    return reference | (line < r.edge_rows) | (line >= dq.shape[0] - r.edge_rows)


def _by_parity(
    frames: Float[Array, "integration group slow fast"],
    reference: Bool[Array, "slow fast"],
    r: Readout,
    params: RefpixParams,
) -> Float[Array, "integration group 1 fast"]:
    """Clipped mean of all reference pixels, of odd and even columns apart."""
    parities = 2 if params.odd_even_columns else 1
    border = _border(r, frames.shape[-2:])
    parity = np.arange(frames.shape[-1]) % parities
    levels = []
    for number in range(parities):
        places = np.nonzero(border & (parity == number))
        values = frames[..., *places]
        mean, exists = clipped_mean(values, jnp.broadcast_to(reference[places], values.shape), params.siglimit)
        levels.append(jnp.where(exists, mean, 0))
    return jnp.stack(levels, -1)[..., None, parity]


def _ends_level(
    frames: Float[Array, "integration group slow fast"],
    usable: Bool[Array, "slow fast"],
    r: Readout,
    params: RefpixParams,
) -> Float[Array, "integration group 1 #fast"]:
    """Level of the reference lines at the ends, by amplifier and column parity; 0 where there are none."""
    parities = 2 if params.odd_even_columns else 1
    ends = [
        kernel.column_levels(frames[..., rows, :], usable[rows], r.outputs, parities, params.siglimit)
        for rows in _slices(_ends(r), frames.shape[-2])
    ]
    if not ends:
        return jnp.zeros((*frames.shape[:2], 1, 1), frames.dtype)
    return kernel.average_where(ends)[0][..., None, :]


def _side_level(
    frames: Float[Array, "integration group slow fast"],
    usable: Bool[Array, "slow fast"],
    window: side_kriging.Window,
    params: RefpixParams,
    predictor: LinePredictor | None,
) -> Float[Array, "integration group slow #fast"]:
    """Level of each line, by the running median where no predictor was learned."""
    if predictor is not None:
        return side_kriging.level(frames, predictor, window)
    at_edge = any(rows.start == 0 for rows in window.ends), any(rows.stop == window.lines for rows in window.ends)
    length = params.side_smoothing_length // 2 * 2 + 1
    levels = [kernel.smoothed_side(frames[..., side], usable[:, side], length, at_edge) for side in window.sides]
    return kernel.average_where(levels)[0][..., None]


def _sirs_level(
    frames: Float[Array, "integration group slow fast"], r: Readout, reference: Sirskernel, params: RefpixParams
) -> Float[Array, "integration group slow fast"]:
    """Level of each line and output by the kernels of the reference."""
    coefficients = (jax.lax.complex(x[..., 0], x[..., 1]) for x in (reference.left, reference.right))
    left, right = (sirs.kernels(x, params.halfwidth, params.gaussmooth) for x in coefficients)
    first, last = (frames[..., side] for side in _slices(_sides(r), frames.shape[-1]))
    # the kernels are for the order of the detector
    lines = slice(None, None, -1 if r.slow_axis < 0 else 1)
    sides = (last[..., ::-1], first[..., ::-1]) if r.fast_axis < 0 else (first, last)

    def of_frame(sides: tuple[Array, Array]) -> Float[Array, "slow output"]:
        return sirs.drift((sides[0][lines], sides[1][lines]), (left, right), params.sigreject)[lines]

    level = jax.vmap(jax.vmap(of_frame))(sides).astype(frames.dtype)
    level = level[..., ::-1] if r.fast_axis < 0 else level
    return jnp.repeat(level, frames.shape[-1] // r.outputs, axis=-1)


def _slices(widths: tuple[int, int], length: int) -> list[slice]:
    """Where reference lines stand at either end of an axis, without the end that has none."""
    first, last = widths
    return [where for where, width in ((slice(0, first), first), (slice(length - last, length), last)) if width]
