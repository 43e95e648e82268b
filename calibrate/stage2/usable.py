"""Which pixels count, and multiplying images without letting the others poison gradients."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.state import Rates


def usable(state: Rates) -> Bool[Array, "integration y x"]:
    """Pixels that are finite and not DO_NOT_USE."""
    return ((state.dq & flags.DO_NOT_USE) == 0) & jnp.isfinite(state.data)


def in_the_light(state: Rates) -> Bool[Array, "integration y x"]:
    """Usable pixels that are no reference pixels: of apertures that reach the edge of a window."""
    return usable(state) & ((state.dq & flags.REFERENCE_PIXEL) == 0)


def scale(state: Rates, factor: Float[Array, "y x"]) -> Rates:
    """Multiply data by `factor` and variances by its square; pixels that are NaN stay NaN, with no gradient."""

    def times(image: Float[Array, "integration y x"], by: Float[Array, "y x"]) -> Float[Array, "integration y x"]:
        finite = jnp.isfinite(image)
        return jnp.where(finite, jnp.where(finite, image, 0) * by, jnp.nan)

    planes = (times(state.data, factor), *(times(v, factor**2) for v in variances(state)))
    return eqx.tree_at(lambda s: (s.data, *variances(s)), state, planes)


def variances(state: Rates) -> tuple[Float[Array, "integration y x"], ...]:
    """List the variances by cause: Poisson, read noise, flat."""
    return state.var_poisson, state.var_rnoise, state.var_flat
