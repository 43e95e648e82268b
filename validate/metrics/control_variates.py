"""Less noise in <D^ - D0> for the same seeds, without bias: subtract what known draws of zero mean must have done."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def linear_response(
    noise: Float[ndarray, "seed bin time"], operator: Float[ndarray, "bin time"]
) -> Float[ndarray, "seed bin"]:
    """Response sum_t h_bt n_sbt of the depths to the known draws n (mean zero), h the fit's linear operator."""
    return np.einsum("sbt,bt->sb", noise, operator)


def reduced(difference: Float[ndarray, "seed bin"], control: Float[ndarray, "seed bin"]) -> Float[ndarray, "seed bin"]:
    """D^ - D0 - c_(-s) x control_s: the control must have mean zero by construction; the expectation is unchanged.

    The coefficient of seed s is the regression of the other seeds, so that it is independent of the draw that it
    multiplies: a coefficient from all seeds would bias the mean by O(1/S). Three seeds at least.
    """
    seeds = len(difference)
    if seeds < 3:
        raise ValueError(f"control variates need 3 seeds to find their coefficient, not {seeds}")
    others = (np.ones((seeds, seeds)) - np.eye(seeds)) / (seeds - 1)
    mean_d, mean_c = others @ difference, others @ control
    cross = others @ (difference * control) - mean_d * mean_c
    spread = others @ control**2 - mean_c**2
    coefficient = np.where(spread > 0.0, cross / np.where(spread > 0.0, spread, 1.0), 0.0)
    return difference - coefficient * control


def antithetic(plus: Float[ndarray, "pair bin"], minus: Float[ndarray, "pair bin"]) -> Float[ndarray, "pair bin"]:
    """Average of runs with draws n and -n, one value a pair: odd orders of the response cancel, the mean stays."""
    return 0.5 * (plus + minus)
