"""Brighter-fatter: the field of the charge already collected moves the boundaries between pixels.

A boundary moves into the fuller of its two pixels by shift * (Q1 - Q2), and the light that falls on the strip goes to
the other. Light on the strip is taken at the harmonic mean of the two rates, which no pixel can lose more of than it
gets; for the same reason the shift stops at an eighth of a pixel. The charge is that of the pixel itself, electron by
electron, at the middle of each frame: it is handed on to the accumulation (poisson.py), where its Poisson noise moves
boundaries as well. So bright flats show too little variance and positive covariance of neighbours, var = Q - 4 a Q^2,
cov = a Q^2 (to first order in a Q, for many frames; the noise of a frame moves nothing before its end, so n frames
show (n - 1) / n of that). Cosmic rays move no boundaries here.
"""

from dataclasses import dataclass, replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.simulate.detector.neighbours import about, pairs, received
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Illumination

MOST_PX = 0.125  # four boundaries at this shift may leave a pixel nothing


@dataclass(frozen=True)
class ChargeMigrationSettings:
    """`scale` multiplies the shifts of the detector's table."""

    scale: float = 1.0

    def __post_init__(self):
        if self.scale < 0:
            raise ValueError("scale must not be negative")


class Boundaries(eqx.Module):
    """How boundaries move with the charge on both sides."""

    shift_px_per_e: Float[Array, "2"]  # along (x, y)
    well_e: Float[Array, ""]

    def collected(
        self, charge: Float[Array, "y x"], rate: Float[Array, "y x"], exposure_s: Float[Array, ""]
    ) -> Float[Array, "y x"]:
        """Rate that each pixel collects (e-/s) in a frame that begins with `charge`; the sum is that of `rate`."""
        held = jnp.clip(charge + rate * (exposure_s / 2), 0, self.well_e)

        def gives(one: tuple[Array, Array], other: tuple[Array, Array], axis: int) -> Array:
            shift = jnp.clip(self.shift_px_per_e[axis] * (one[0] - other[0]), -MOST_PX, MOST_PX)
            return shift * _harmonic(one[1], other[1])

        return rate + received((held, jnp.maximum(rate, 0)), gives)

    def feedback(self, rate: Float[Array, "y x"], exposure_s: Float[Array, ""]) -> Float[Array, "y x"]:
        """Electrons of a frame that each electron more in the pixel turns away (negative)."""

        def strip(one: Array, other: Array, axis: int) -> Array:
            return self.shift_px_per_e[axis] * _harmonic(one, other)

        return -exposure_s * about(*pairs(jnp.maximum(rate, 0), strip))


def _harmonic(one: Array, other: Array) -> Float[Array, "..."]:
    total = one + other
    return 2 * one * other / jnp.where(total > 0, total, 1)


class ChargeMigration(Effect):
    """Light of boundary strips goes to the emptier neighbour, read by read."""

    name = "charge_migration"
    default = False  # its coefficients are guesses
    settings = ChargeMigrationSettings

    def constants(self, observation, maps, rng) -> Boundaries:
        """Return the detector's law."""
        detector, scale = observation.detector, observation.settings_of(self.name).scale
        table = detector.charge_migration
        assert table is not None  # see Effect.exists
        shift = scale * np.asarray(table.shift_px_per_e, np.float32)
        return Boundaries(shift, np.float32(detector.full_well_e))

    def mean(self, state: Illumination, refs, params) -> Illumination:
        """Hand the boundaries on to the accumulation."""
        return replace(state, boundaries=params.own)
