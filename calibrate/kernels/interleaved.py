"""How frames of NIRSpec's IRS2 read-out are laid out along their fast axis (y), and taking them apart.

In the order of the detector: the reference output, then the four outputs of the image, 640 reads each. After every 16
reads of its pixels an output steps out to 4 reads of reference pixels, the first time after 8. What is not a pixel of
the image ("extra") stays in the order of the frame. Source: Moseley et al. (2010); jwst 3.0.0 refpix.
"""

import numpy as np
from jaxtyping import Bool, Shaped

NORMAL, REFERENCE, BLOCKS, OUTPUTS = 16, 4, 32, 4  # reads, reads, of both in an output, of the image
SECTION = BLOCKS * (NORMAL + REFERENCE)  # reads of an output in a line
LENGTH = (OUTPUTS + 1) * SECTION
SIDE = OUTPUTS * BLOCKS * NORMAL  # pixels of the image in a line, and lines
FRAME = LENGTH, SIDE  # (y, x)

IS_REFERENCE = (np.arange(SECTION) - NORMAL // 2) % (NORMAL + REFERENCE) < REFERENCE  # within an output


def is_normal(backwards: bool) -> Bool[np.ndarray, "read"]:
    """Which reads of a line are pixels of the image; `backwards`: y runs against the fast axis of the detector."""
    normal = np.concatenate([np.zeros(SECTION, bool), np.tile(~IS_REFERENCE, OUTPUTS)])
    return normal[::-1] if backwards else normal


def split(
    frames: Shaped[np.ndarray, "*lead read x"], backwards: bool
) -> tuple[Shaped[np.ndarray, "*lead y x"], Shaped[np.ndarray, "*lead extra x"]]:
    """The image, and what stands between its lines."""
    normal = is_normal(backwards)
    return frames[..., normal, :], frames[..., ~normal, :]


def join(
    image: Shaped[np.ndarray, "*lead y x"], extra: Shaped[np.ndarray, "*lead extra x"], backwards: bool
) -> Shaped[np.ndarray, "*lead read x"]:
    """The frames again."""
    normal = is_normal(backwards)
    frames = np.empty((*image.shape[:-2], *FRAME), image.dtype)
    frames[..., normal, :], frames[..., ~normal, :] = image, extra
    return frames
