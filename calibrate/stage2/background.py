"""The background of each dispersion element, from the windows beside the spectrum."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.kernels import aperture
from uptheramp.calibrate.kernels.pixels import zeroed
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage2.usable import usable, variances
from uptheramp.calibrate.state import Rates

MEDIAN_ERROR = 1.2  # error of a median over that of the mean, as the official function has it


class Windows(NamedTuple):
    """The pixels a background is taken from, and how it is made of them."""

    region: Float[Array, "y x"]  # covered fraction of each pixel
    weight: Float[Array, "integration y x"]  # the same where the pixel is used
    coordinate: Float[np.ndarray, "y x"]  # across the dispersion; one of the axes has length 1
    axis: int
    degree: int  # of the polynomial
    median: bool  # of whole pixels, instead of a polynomial
    smoothing_px: int  # length of a box along the dispersion; 0: none


def covered(state: Rates, extract1d: Extract1d) -> Float[Array, "y x"]:
    """Fraction of each pixel that lies in the windows."""
    return extract1d.beside(state.data.shape[-2:], state.wavelength_um).astype(state.data.dtype)


def windows(state: Rates, extract1d: Extract1d) -> Windows:
    """Weigh the usable pixels by how much of them the windows cover."""
    e, shape = extract1d, state.data.shape[-2:]
    axis = aperture.across_axis(e.dispersion_axis)
    region = covered(state, e)
    if e.background_median:
        region = jnp.floor(region + 1e-5)  # edges in float32
    weight = jnp.where(usable(state), region, 0)
    u = aperture.coordinate(shape, axis).astype(state.data.dtype)
    return Windows(region, weight, u, axis, e.background_order, e.background_median, e.smoothing_px)


def clipped(state: Rates, chosen: Windows, sigma: Float[Array, ""]) -> Windows:
    """Leave out pixels more than `sigma` errors from a robust fit; the choice is not differentiated."""
    good = usable(state)
    variance = sum(zeroed(v, good) for v in variances(state))
    held = jax.lax.stop_gradient((zeroed(state.data, good), variance, chosen.weight))
    kept = aperture.clipped(*held, chosen.coordinate, chosen.axis, chosen.degree, jax.lax.stop_gradient(sigma))
    return chosen._replace(weight=jnp.where(kept, chosen.weight, 0))


def level(state: Rates, chosen: Windows) -> Float[Array, "integration y x"]:
    """Evaluate the background at every pixel of an element; 0 where no window pixel is usable."""
    w, used = chosen, chosen.weight > 0
    data = zeroed(state.data, usable(state))
    if w.smoothing_px:
        data, filled = aperture.smoothed(data, usable(state) & (used | (w.region == 0)), w.axis, w.smoothing_px)
        used = filled & (w.region > 0)  # parity: in a median pixels count that smoothing has filled
    if w.median:
        return jnp.broadcast_to(aperture.middle(data, used, w.axis), data.shape)
    return aperture.fitted(data, w.weight, w.coordinate, w.axis, w.degree)


def influence(share: Float[Array, "integration y x"], chosen: Windows) -> Float[Array, "integration y x"]:
    """How much the error of each window pixel adds to that of the background under `share`.

    Parity: that of a median is 1.2 times that of the mean, and smoothing is not counted.
    """
    w = chosen
    pull = aperture.influence(share, w.weight, w.coordinate, w.axis, w.degree)
    return MEDIAN_ERROR * pull if w.median else pull
