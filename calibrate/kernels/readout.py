"""When each pixel of a window is read within a frame."""

import numpy as np
from jaxtyping import Float, Int

CLOCK_S = 1e-5  # pixel clock of all detectors


def oriented(images: np.ndarray, fast_axis: int, slow_axis: int) -> np.ndarray:
    """View (..., y, x) as (..., line, pixel) in the order of reading; +-1 is x and +-2 is y, the sign the direction."""
    out = images if abs(fast_axis) == 1 else np.swapaxes(images, -1, -2)
    return out[..., :: np.sign(slow_axis), :: np.sign(fast_axis)]


def line_position(pixels: int, outputs: int, interleaved: bool = False) -> Int[np.ndarray, "pixel"]:
    """Clocks from the start of a line to each pixel along it: outputs read stripes, or every n-th pixel (MIRI)."""
    number = np.arange(pixels)
    return number // outputs if interleaved else number % (pixels // outputs)


def read_offset_s(
    shape: tuple[int, int],
    fast_axis: int,
    slow_axis: int,
    outputs: int,
    row_overhead_clocks: int,
    frame_time_s: float,
    interleaved: bool = False,
) -> Float[np.ndarray, "y x"]:
    """Seconds from the start of a frame to the reading of each pixel, in (0, frame_time_s].

    Lines follow each other from the start of the frame, `pixels / outputs + row_overhead_clocks` clocks of 10 us each;
    what is left of the frame is spent after the last line. All outputs read in the same direction. A pixel is reset at
    the same offset into the reset frame, so at its first read it has integrated for one whole frame time.

    Raises
    ------
    ValueError
        If the lines do not fit in the frame.
    """
    lines, pixels = shape if abs(fast_axis) == 1 else shape[::-1]
    line_clocks = pixels // outputs + row_overhead_clocks
    position = line_position(pixels, outputs, interleaved) + 1
    offset_s = (np.arange(lines)[:, None] * line_clocks + position) * CLOCK_S
    if offset_s[-1].max() > frame_time_s * (1 + 1e-9):
        raise ValueError(f"{lines} lines of {line_clocks} clocks do not fit in a frame of {frame_time_s} s")
    out = np.empty(shape)
    oriented(out, fast_axis, slow_axis)[:] = offset_s
    return out
