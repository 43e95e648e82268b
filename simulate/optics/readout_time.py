"""When each pixel of an observation's window is read in its frame."""

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.kernels.readout import read_offset_s
from uptheramp.simulate.observation import Observation


def offsets_s(observation: Observation) -> Float[np.ndarray, "y x"]:
    """Seconds after the start of the frame."""
    o, r = observation, observation.readout
    overhead, frame_s = o.subarray.row_overhead_clocks, o.subarray.frame_time_s
    return read_offset_s(o.shape, r.fast_axis, r.slow_axis, r.outputs, overhead, frame_s, o.interleaved)
