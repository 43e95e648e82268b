"""Traps that take charge while a pixel fills and give it back after the reset.

Family k of a pixel strives for fraction_k * Q with the time constant tau_k, dn/dt = (fraction_k Q(t) - n) / tau_k, Q
the charge held at that time (at most the full well). One law so captures during the ramp, releases into the next
ones, and makes the start of an exposure rise until the traps are full. Within a frame light falls steadily and the
law is solved exactly; what the traps take is missing in the pixel, what they give is added, and both are counted with
the rest (poisson.py). Q is that of the light alone: the traps' own share changes it by less than their fraction, so
the error is of second order. The noise of the traps' filling is left out.
"""

from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Illumination


@dataclass(frozen=True)
class PersistenceSettings:
    """`earlier_fill` of the full well was held by all pixels for long, until `earlier_s_ago` before the exposure."""

    scale: float = 1.0  # of the trapped fractions
    earlier_fill: float = 0.0
    earlier_s_ago: float = 0.0

    def __post_init__(self):
        if self.scale < 0 or self.earlier_s_ago < 0 or not 0 <= self.earlier_fill <= 1:
            raise ValueError("scale and earlier_s_ago must not be negative, earlier_fill must lie between 0 and 1")


class Traps(eqx.Module):
    """Families of traps in a window."""

    time_s: Float[Array, "family"]
    fraction: Float[Array, "family"]
    pixel: Float[Array, "y x"]  # how many times as many traps as on average; 0 in reference pixels
    well_e: Float[Array, ""]
    initial_e: Float[Array, "family"]  # trapped before the exposure in an average pixel
    reset_s: Float[Array, ""]

    def after(
        self,
        trapped: tuple[Float[Array, "y x"], ...],
        held: Float[Array, "y x"],
        gained: Float[Array, "y x"],
        exposure_s: Float[Array, ""],
    ) -> tuple[Float[Array, "y x"], ...]:
        """Trapped charge of the families after a frame that begins with `held`; `gained` falls steadily in it."""
        x = exposure_s / self.time_s
        relaxed = -jnp.expm1(-x)  # of the way to a fixed aim
        following = 1 - relaxed / x  # of the way to an aim that moves
        dtype = held.dtype
        still, moving = self.pixel * held, self.pixel * gained
        first, second = (relaxed * self.fraction).astype(dtype), (following * self.fraction).astype(dtype)
        relaxed = relaxed.astype(dtype)
        return tuple(
            n + (first[k] * still - relaxed[k] * n + second[k] * moving) for k, n in enumerate(trapped)
        )  # a plane at a time: faster than an array of families


class Persistence(Effect):
    """Trapped charge, carried through the exposure."""

    name = "persistence"
    default = False  # its fractions are guesses
    remembers = True
    settings = PersistenceSettings

    def constants(self, observation, maps, rng) -> Traps:
        """Return the detector's families."""
        o, table, knobs = observation, observation.detector.persistence, observation.settings_of(self.name)
        assert table is not None  # see Effect.exists
        scatter = table.pixel_scatter
        pixel = np.exp(scatter * rng.standard_normal(o.shape) - scatter**2 / 2) * maps.light
        time_s = np.array(table.time_s)
        fraction = knobs.scale * np.array(table.fraction)
        well = o.detector.full_well_e
        return Traps(
            time_s=time_s,
            fraction=fraction,
            pixel=np.asarray(pixel, np.float32),
            well_e=np.float32(well),
            initial_e=fraction * knobs.earlier_fill * well * np.exp(-knobs.earlier_s_ago / time_s),
            reset_s=np.float64(o.pattern.reset_frames * o.subarray.frame_time_s),
        )

    def start(self, key, own: Traps) -> Float[Array, "family y x"]:
        """Return what earlier light left."""
        return _per_family(own.initial_e, own.pixel.dtype) * own.pixel

    def mean(self, state: Illumination, refs, params) -> Illumination:
        """Rate less what the traps take, e-/s; `memory` holds the trapped charge after the reset that follows."""
        traps, frame_s = params.own, params.frame_time_s
        dtype = state.rate.dtype

        def frame(carried: tuple[Any, Array], rate: Array) -> tuple[tuple[Any, Array], Array]:
            trapped, held = carried
            full = jnp.minimum(held + rate * frame_s.astype(dtype), traps.well_e)
            now = traps.after(trapped, held, full - held, frame_s)
            taken = sum(after - before for after, before in zip(now, trapped, strict=True))
            return (now, full), rate - taken / frame_s.astype(dtype)

        trapped = tuple(state.memory[self.name].astype(dtype))
        (trapped, _), rate = jax.lax.scan(frame, (trapped, jnp.zeros_like(state.rate[0])), state.rate)
        kept = _per_family(jnp.exp(-traps.reset_s / traps.time_s), dtype)
        return replace(state, rate=rate, memory=state.memory | {self.name: kept * jnp.stack(trapped)})


def _per_family(values: Array, dtype) -> Float[Array, "family 1 1"]:
    return jnp.asarray(values)[:, None, None].astype(dtype)
