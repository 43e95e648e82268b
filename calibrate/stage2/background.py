"""The background of each dispersion element, from the windows beside the spectrum."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.kernels import aperture
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage2.usable import usable, variances, zeroed
from uptheramp.calibrate.state import Rates


class Windows(NamedTuple):
    """The pixels a background is taken from, and how it is drawn through them."""

    weight: Float[Array, "integration y x"]
    coordinate: Float[np.ndarray, "y x"]  # across the dispersion; one of the axes has length 1
    axis: int
    order: int


def covered(state: Rates, extract1d: Extract1d) -> Float[Array, "y x"]:
    """Fraction of each pixel that lies in the windows."""
    axis = aperture.across_axis(extract1d.dispersion_axis)
    shape = state.data.shape[-2:]
    inside = sum(
        (aperture.coverage(lower, upper, shape, axis) for lower, upper in jnp.asarray(extract1d.background)),
        start=jnp.zeros(shape),
    )
    return jnp.minimum(inside, 1).astype(state.data.dtype)


def windows(state: Rates, extract1d: Extract1d) -> Windows:
    """Weigh the usable pixels by how much of them the windows cover."""
    axis = aperture.across_axis(extract1d.dispersion_axis)
    shape = state.data.shape[-2:]
    weight = jnp.where(usable(state), covered(state, extract1d), 0)
    u = aperture.coordinate(shape, axis).astype(state.data.dtype)
    return Windows(weight, u, axis, extract1d.background_order)


def clipped(state: Rates, chosen: Windows, sigma: Float[Array, ""]) -> Windows:
    """Leave out pixels more than `sigma` errors from a robust line; the choice is not differentiated."""
    good = usable(state)
    variance = sum(zeroed(v, good) for v in variances(state))
    held = jax.lax.stop_gradient((zeroed(state.data, good), variance, chosen.weight))
    kept = aperture.clipped(*held, chosen.coordinate, chosen.axis, chosen.order, jax.lax.stop_gradient(sigma))
    return chosen._replace(weight=jnp.where(kept, chosen.weight, 0))


def level(state: Rates, chosen: Windows) -> Float[Array, "integration y x"]:
    """Evaluate the fitted background at every pixel of an element; 0 where no window pixel is usable."""
    data = zeroed(state.data, usable(state))
    line = aperture.fit_line(data, chosen.weight, chosen.coordinate, chosen.axis, chosen.order)
    return line.level + line.slope * chosen.coordinate
