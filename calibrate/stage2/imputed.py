"""Covariance of spectral elements whose pixels were made of each other."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from uptheramp.calibrate.kernels.pixels import zeroed
from uptheramp.calibrate.stage2.spatial_profile import turned
from uptheramp.calibrate.stage2.usable import usable
from uptheramp.calibrate.state import Rates


def pairs(elements: int) -> Int[np.ndarray, "pair 2"]:
    """Elements that may share noise: neighbours, then those with one between them."""
    each = np.arange(elements, dtype=np.int32)
    return np.concatenate([np.stack([each[:-n], each[n:]], 1) for n in (1, 2)])


def covariance(
    state: Rates, filled: Bool[Array, "integration y x"], share: Float[Array, "integration y x"], axis: int
) -> Float[Array, "integration pair"]:
    """Covariance of the elements `pairs` that sum the pixels by `share` across the dispersion (along `axis`).

    A pixel `filled` with the mean of those before and behind it along the dispersion gives its element half of their
    noise; with h the share and v the variance of a pixel in time (that of the flat is common to all integrations), and
    h' the share where the pixel was filled, else 0:

        C(e, e + 1) = sum (h'_e h_(e+1) v_(e+1) + h_e h'_(e+1) v_e) / 2,   C(e, e + 2) = sum h'_e h'_(e+2) v_(e+1) / 4
    """
    good = usable(state)
    variance = turned(zeroed(state.var_poisson, good) + zeroed(state.var_rnoise, good), axis)
    h = turned(share, axis)
    made = jnp.where(turned(filled, axis), h, 0)
    own = h * variance
    beside = (made[..., :-1] * own[..., 1:] + own[..., :-1] * made[..., 1:]) / 2
    across = made[..., :-2] * variance[..., 1:-1] * made[..., 2:] / 4
    return jnp.concatenate([beside.sum(-2), across.sum(-2)], -1)
