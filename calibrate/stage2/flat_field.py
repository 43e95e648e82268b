"""Remove the response differences between pixels."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp

from uptheramp.calibrate import flags
from uptheramp.calibrate.references.flat import Flat
from uptheramp.calibrate.stage2.usable import scale, zeroed
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
    response = jnp.where(known, flat.data, 1).astype(state.data.dtype)
    error = jnp.where(known, flat.err, 0).astype(state.data.dtype)
    divided = scale(state, 1 / response)
    var_flat = divided.var_flat + (zeroed(divided.data, jnp.isfinite(divided.data)) / response * error) ** 2
    dq = state.dq | flat.dq | jnp.where(valued, 0, flags.NO_FLAT_FIELD | flags.DO_NOT_USE).astype(state.dq.dtype)
    return replace(divided, var_flat=var_flat, dq=dq), None
