"""The well holds no more."""

from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Charge


@dataclass(frozen=True)
class SaturationSettings:
    """`spill` is the share of what a full well cannot hold that flows into its four neighbours; the rest is drained."""

    spill: float = 0.0
    rounds: int = 12  # wells that charge can pass through

    def __post_init__(self):
        if not 0 <= self.spill <= 1:
            raise ValueError("spill must lie between 0 and 1")
        if self.rounds < 1:
            raise ValueError("rounds must be at least 1")


class Spill(eqx.Module):
    """Share that flows on, and how far."""

    share: Float[Array, ""]
    rounds: int = eqx.field(static=True)


class Saturation(Effect):
    """Charge above the full well is lost, or flows on from well to well until it is held or lost at the edge."""

    name = "saturation"
    settings = SaturationSettings

    def constants(self, observation, maps, rng) -> Spill | None:
        """Return what flows on; None where nothing does."""
        knobs = observation.settings_of(self.name)
        return Spill(np.float32(knobs.spill), knobs.rounds) if knobs.spill else None

    def mean(self, state: Charge, refs, params) -> Charge:
        """min(Q, well), with the charge that others have spilled counted in Q."""
        if params.own is None:
            return replace(state, electrons=jnp.minimum(state.electrons, refs.well_e))
        spilled = jax.lax.map(lambda read: _spilled(read, refs.well_e, refs.light, params.own), state.electrons)
        return replace(state, electrons=spilled)


def _spilled(
    charge: Float[Array, "y x"], well_e: Float[Array, ""], light: Float[Array, "y x"], spill: Spill
) -> Float[Array, "y x"]:
    """Charge held when the excess has run its course; reference pixels take none."""

    def flow(_, charge: Array) -> Array:
        excess = jnp.maximum(charge - well_e, 0)
        wide = jnp.pad(spill.share / 4 * excess, 1)
        taken = (wide[1:-1, :-2] + wide[1:-1, 2:] + wide[:-2, 1:-1] + wide[2:, 1:-1]) * light
        return charge - excess + taken

    return jnp.minimum(jax.lax.fori_loop(0, spill.rounds, flow, charge), well_e)
