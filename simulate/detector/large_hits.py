"""Hits that cover hundreds of pixels: snowballs of the H2RG arrays, showers of the Si:As ones.

An event is a disc of uniform charge with a halo that falls exponentially outside it, left in one frame. A share of it
goes into traps beside the pixels and comes out with one time constant, through resets and integrations. Radii have
the density r^-power. All of this is a guess at the shape (physics sheet, section 13); rates are of the literature.
The noise of the traps is left out. The mean leaves the exposure as it is, as for cosmic rays.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from uptheramp.calibrate.instruments.core import LargeHits as Table
from uptheramp.simulate.detector.cosmic_rays import BOUND_SIGMA, Deposits
from uptheramp.simulate.detector.poisson import poisson
from uptheramp.simulate.detector.power_law import PowerLaw
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Charge

HALO_LENGTHS = 5  # of the halo's scale that are painted


@dataclass(frozen=True)
class LargeHitSettings:
    """`rate_scale` multiplies the table's rate."""

    rate_scale: float = 1.0

    def __post_init__(self):
        if self.rate_scale < 0:
            raise ValueError("rate_scale must not be negative")


class LargeHitParams(eqx.Module):
    """Laws of number, size and charge; `most` bounds the events of an integration, `reach` their size (px)."""

    per_integration: Float[Array, ""]
    radius_px: PowerLaw
    core_e: Float[Array, ""]
    halo_e: Float[Array, ""]
    halo_px: Float[Array, ""]
    trapped: Float[Array, ""]
    release_s: Float[Array, ""]
    reset_s: Float[Array, ""]
    nothing_e: Float[Array, "y x"]  # trapped before the exposure
    most: int = eqx.field(static=True)
    reach: int = eqx.field(static=True)


class Events(NamedTuple):
    """Frame, centre (pixels) and core radius; the first `number` are real."""

    number: Int[Array, ""]
    frame: Int[Array, "event"]
    y: Float[Array, "event"]
    x: Float[Array, "event"]
    radius_px: Float[Array, "event"]


def large_hit_params(
    table: Table, detector_pixels: int, shape: tuple[int, int, int], frame_time_s: float, reset_s: float, scale: float
) -> LargeHitParams:
    """Return the laws for integrations of shape (frame, y, x): events = time / interval * share of the detector."""
    frames, height, width = shape
    reach = int(np.ceil(table.radius_px[1] + HALO_LENGTHS * table.halo_px))
    share = (height + 2 * reach) * (width + 2 * reach) / detector_pixels
    mean = scale * frames * frame_time_s / table.interval_s * share
    return LargeHitParams(
        per_integration=np.float32(mean),
        radius_px=PowerLaw.between(table.radius_px, table.radius_power),
        core_e=np.float32(table.core_e),
        halo_e=np.float32(table.halo_e),
        halo_px=np.float32(table.halo_px),
        trapped=np.float32(table.trapped_fraction),
        release_s=np.float64(table.release_s),
        reset_s=np.float64(reset_s),
        nothing_e=np.zeros((height, width), np.float32),
        most=int(np.ceil(mean + BOUND_SIGMA * (np.sqrt(mean) + 1))),
        reach=reach,
    )


def events(key: Key[Array, ""], params: LargeHitParams, shape: tuple[int, int, int]) -> Events:
    """Return the events of an integration; their centres may lie outside the window."""
    frames, height, width = shape
    number_key, place_key = jax.random.split(key)
    u = jax.random.uniform(place_key, (4, params.most), jnp.float32)
    return Events(
        number=poisson(number_key, params.per_integration).astype(jnp.int32),
        frame=jnp.minimum((u[0] * frames).astype(jnp.int32), frames - 1),
        y=u[1] * (height + 2 * params.reach) - params.reach - 0.5,
        x=u[2] * (width + 2 * params.reach) - params.reach - 0.5,
        radius_px=params.radius_px(u[3]),
    )


def profile(distance_px: Float[Array, "..."], radius_px: Float[Array, ""], params: LargeHitParams) -> Array:
    """Electrons of a pixel at a distance from the centre."""
    outside = distance_px - radius_px
    halo = params.halo_e * jnp.exp(-jnp.maximum(outside, 0) / params.halo_px)
    halo = jnp.where(outside < HALO_LENGTHS * params.halo_px, halo, 0)
    return jnp.where(outside <= 0, params.core_e, halo)


def painted(
    key: Key[Array, ""], found: Events, number: Int[Array, ""], light: Float[Array, "y x"], params: LargeHitParams
) -> Float[Array, "y x"]:
    """Return the counted electrons of one event, in pixels that see light."""
    offset = jnp.arange(-params.reach, params.reach + 1)
    y = jnp.round(found.y[number]).astype(jnp.int32) + offset[:, None]
    x = jnp.round(found.x[number]).astype(jnp.int32) + offset
    distance = jnp.hypot(y - found.y[number], x - found.x[number])
    electrons = poisson(key, profile(distance, found.radius_px[number], params).astype(jnp.float32))
    # a negative index would count from the end
    y, x = (jnp.where(place < 0, size, place) for place, size in zip((y, x), light.shape, strict=True))
    return jnp.zeros_like(light).at[y, x].add(electrons, mode="drop") * light


class LargeHitsEffect(Effect):
    """Events, and the charge they leave behind in `memory`."""

    random = True
    default = False  # shapes are guesses
    settings = LargeHitSettings

    def constants(self, observation, maps, rng) -> LargeHitParams:
        """Return the laws for the window and the length of an integration."""
        o = observation
        y, x = o.detector.shape
        frame_time_s = o.subarray.frame_time_s
        shape, reset_s = (o.reads_per_integration, *o.shape), o.pattern.reset_frames * frame_time_s
        scale = o.settings_of(self.name).rate_scale
        return large_hit_params(getattr(o.detector, self.name), y * x, shape, frame_time_s, reset_s, scale)

    def start(self, key, own: LargeHitParams) -> Float[Array, "y x"]:
        """Return empty traps."""
        return jnp.asarray(own.nothing_e)

    def draw(self, key, state: Charge, refs, params) -> tuple[Charge, dict]:
        """Add the events of the integration and what earlier ones release; the truth has a row an event."""
        own: LargeHitParams = params.own
        shape = state.electrons.shape
        event_key, count_key = jax.random.split(key)
        found = events(event_key, own, shape)
        dark = jnp.zeros_like(refs.light)
        leaving = -jnp.expm1(-params.frame_time_s / own.release_s).astype(dark.dtype)

        def frame(carried: tuple[Array, Array, Array], now: tuple[Array, Array]):
            left, trapped, charges = carried
            index, electrons = now

            def strike(event: Array, struck: tuple[Array, Array]) -> tuple[Array, Array]:
                image, charges = struck
                hit = jax.lax.cond(
                    found.frame[event] == index,
                    lambda: painted(jax.random.fold_in(count_key, event), found, event, refs.light, own),
                    lambda: dark,
                )
                return image + hit, charges.at[event].add(hit.sum())

            image, charges = jax.lax.fori_loop(0, found.number, strike, (dark, charges))
            released = leaving * trapped
            trapped = trapped - released + own.trapped * image
            left = left + image + released
            return (left, trapped, charges), electrons + left

        start = dark, state.memory[self.name], jnp.zeros(own.most, dark.dtype)
        (_, trapped, charges), electrons = jax.lax.scan(frame, start, (jnp.arange(shape[0]), state.electrons))
        trapped = trapped * jnp.exp(-own.reset_s / own.release_s).astype(dark.dtype)
        y, x = (jnp.round(place).astype(jnp.int32) for place in (found.y, found.x))
        memory = state.memory | {self.name: trapped}
        return replace(state, electrons=electrons, memory=memory), {self.name: Deposits(found.frame, y, x, charges)}


class Snowballs(LargeHitsEffect):
    """Saturated cores with a halo (H2RG)."""

    name = "snowballs"


class Showers(LargeHitsEffect):
    """Faint charge over a wide area (Si:As)."""

    name = "showers"
