"""Bring rates taken with another gain setting to the standard one."""

import equinox as eqx
import jax.numpy as jnp

from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.state import Rates
from uptheramp.calibrate.step import step


class GainScaleRefs(eqx.Module):
    """What gain_scale takes from the library."""

    gain: Gain


@step(cite="jwst 3.0.0 gain_scale")
def gain_scale(state: Rates, refs: GainScaleRefs, params: None) -> tuple[Rates, None]:
    """Multiply rates by GAINFACT, variances by its square."""
    f = refs.gain.factor
    rated = ~jnp.isnan(state.data)  # pixels without a rate must not reach the gradient of the factor
    data = jnp.where(rated, jnp.where(rated, state.data, 0) * f, jnp.nan)
    new = data, state.var_poisson * f**2, state.var_rnoise * f**2, state.var_flat * f**2
    return eqx.tree_at(lambda s: (s.data, s.var_poisson, s.var_rnoise, s.var_flat), state, new), None
