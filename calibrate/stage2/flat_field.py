"""Remove the response differences between pixels."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt32

from uptheramp.calibrate import flags
from uptheramp.calibrate.kernels.pixels import zeroed
from uptheramp.calibrate.references.flat import Flat
from uptheramp.calibrate.stage2.usable import scale
from uptheramp.calibrate.state import Rates
from uptheramp.calibrate.step import step


class FlatFieldRefs(eqx.Module):
    """What flat_field takes from the library; without a flat the data pass unchanged."""

    flat: Flat | None


@step(cite="jwst 3.0.0 flat_field")
def flat_field(state: Rates, refs: FlatFieldRefs, params: None) -> tuple[Rates, None]:
    """Divide by the flat, `d / f`; variances by its square, `var_flat += (d / f^2)^2 err_f^2`.

    Where the flat has no value (NO_FLAT_FIELD | DO_NOT_USE) or may not be used it counts as 1.
    """
    if refs.flat is None:
        return state, None
    flat = refs.flat
    valued = (flat.data != 0) & jnp.isfinite(flat.data)
    known = ((flat.dq & flags.DO_NOT_USE) == 0) & valued
    dq = flat.dq | jnp.where(valued, 0, flags.NO_FLAT_FIELD | flags.DO_NOT_USE).astype(state.dq.dtype)
    return divided(state, flat.data, flat.err, dq, known), None


def divided(
    state: Rates,
    response: Float[Array, "y x"],
    error: Float[Array, "y x"],
    dq: UInt32[Array, "y x"],
    known: Bool[Array, "y x"],
) -> Rates:
    """Divide by a response where it is known, add its error to the variances, and its flags to the state's."""
    response = jnp.where(known, response, 1).astype(state.data.dtype)
    error = jnp.where(known, error, 0).astype(state.data.dtype)
    scaled = scale(state, 1 / response)
    var_flat = scaled.var_flat + (zeroed(scaled.data, jnp.isfinite(scaled.data)) / response * error) ** 2
    return replace(scaled, var_flat=var_flat, dq=state.dq | dq)
