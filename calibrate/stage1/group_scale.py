"""Repair the average of groups whose number of frames is not what the detector electronics divided by."""

from dataclasses import replace

from uptheramp.calibrate.kernels.pixels import floating
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step


@step(cite="jwst 3.0.0 group_scale")
def group_scale(state: Ramps, refs: None, params: None) -> tuple[Ramps, None]:
    """Multiply by FRMDIVSR / NFRAMES where the two differ (on board the division is by a power of two)."""
    r = state.readout
    if r.nframes == r.frame_divisor:
        return state, None
    factor = r.frame_divisor / r.nframes
    extra = None if state.interleaved is None else floating(state.interleaved) * factor
    return replace(state, data=floating(state.data) * factor, interleaved=extra), None
