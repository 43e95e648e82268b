"""Rows of the detector that are read alike."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from uptheramp.simulate.observation import Observation


def by_parity(observation: "Observation", values: tuple[float, float]) -> Float[np.ndarray, "y 1"]:
    """Return the first value for even, the second for odd rows of the detector (numbered from 0), as a column."""
    row = observation.subarray.start[1] - 1 + np.arange(observation.shape[0])
    return np.asarray(values, np.float32)[row % 2][:, None]
