"""Hits by cosmic rays: charge deposited in a few pixels between two reads.

The number of hits in an integration is Poisson with mean flux x area x time; each leaves a charge from the quantile
table along a short straight track, smeared by diffusion. Tracks are simple: no secondaries, snowballs or showers.
"""

from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from uptheramp.calibrate.instruments.core import CosmicRays as Table
from uptheramp.simulate.detector.poisson import poisson
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Charge

TRACK_POINTS = 4
SHORTEST_UM, LONGEST_UM, SLOPE = 10.0, 180.0, 3.33  # cumulative l^-3.33 from 10 um (Miles 2021: density l^-4.33)
DIFFUSION_PX = 0.35  # guess
REACH = 1  # pixels around each point of the track that receive charge


class HitParams(eqx.Module):
    """Flux and charges; `most` (static) bounds the hits of one integration."""

    hits_per_integration: Float[Array, ""]
    quantiles: Float[Array, "knot"]
    deposit_e: Float[Array, "knot"]
    pixel_um: Float[Array, ""]
    most: int = eqx.field(static=True)


class Deposits(NamedTuple):
    """The truth: electrons left in (frame, y, x); entries with no charge are padding."""

    frame: Int[Array, "deposit"]
    y: Int[Array, "deposit"]
    x: Int[Array, "deposit"]
    electrons: Float[Array, "deposit"]


def hit_params(table: Table, pixel_um: float, pixels: int, frames: int, frame_time_s: float) -> HitParams:
    """Hits expected in `frames` frames of a window: rate_per_cm2_s * area * time."""
    mean = table.rate_per_cm2_s * pixels * (pixel_um * 1e-4) ** 2 * frames * frame_time_s
    most = int(np.ceil(mean + 8 * np.sqrt(mean) + 8))
    values = mean, table.deposit_quantiles, table.deposit_e, pixel_um
    return HitParams(*(np.asarray(v, np.float32) for v in values), most=most)


def shares(sub_y: Float[Array, "point"], sub_x: Float[Array, "point"]) -> Float[Array, "point 3 3"]:
    """Share of a point's charge in the 3 x 3 pixels around it: a Gaussian integrated over the pixels, unit sum."""
    edges = jnp.arange(-REACH, REACH + 2) - 0.5

    def along(place: Array) -> Array:
        cumulative = jax.scipy.special.erf((edges - place[:, None]) / (DIFFUSION_PX * jnp.sqrt(2.0)))
        part = jnp.diff(cumulative, axis=1)
        return part / part.sum(1, keepdims=True)

    return along(sub_y)[:, :, None] * along(sub_x)[:, None, :]


def tracks(key: Key[Array, ""], params: HitParams, shape: tuple[int, int, int]) -> Deposits:
    """Return the deposits of one integration of shape (frame, y, x)."""
    frames, height, width = shape
    keys = jax.random.split(key, 2)
    number = poisson(keys[0], params.hits_per_integration)
    u = jax.random.uniform(keys[1], (6, params.most), jnp.float32)
    struck = jnp.arange(params.most) < number
    charge = jnp.interp(u[0], params.quantiles, params.deposit_e) * struck
    frame = jnp.minimum((u[1] * frames).astype(jnp.int32), frames - 1)
    length = jnp.minimum(SHORTEST_UM * jnp.maximum(u[2], 1e-6) ** (-1 / SLOPE), LONGEST_UM) / params.pixel_um
    angle = 2 * jnp.pi * u[3]
    along = (jnp.arange(TRACK_POINTS) + 0.5) / TRACK_POINTS - 0.5
    y = (u[4] * height - 0.5)[:, None] + (length * jnp.sin(angle))[:, None] * along
    x = (u[5] * width - 0.5)[:, None] + (length * jnp.cos(angle))[:, None] * along
    iy, ix = jnp.round(y).astype(jnp.int32), jnp.round(x).astype(jnp.int32)
    part = shares((y - iy).ravel(), (x - ix).ravel()).reshape(params.most, TRACK_POINTS, 3, 3)
    step = jnp.arange(-REACH, REACH + 1)
    yy = jnp.broadcast_to(iy[..., None, None] + step[:, None], part.shape)
    xx = jnp.broadcast_to(ix[..., None, None] + step, part.shape)
    inside = (yy >= 0) & (yy < height) & (xx >= 0) & (xx < width)
    electrons = jnp.round(part * (charge / TRACK_POINTS)[:, None, None, None]) * inside
    when = jnp.broadcast_to(frame[:, None, None, None], part.shape)
    yy, xx = jnp.clip(yy, 0, height - 1), jnp.clip(xx, 0, width - 1)
    return Deposits(when.ravel(), yy.ravel(), xx.ravel(), electrons.ravel())


class CosmicRays(Effect):
    """Charge steps; whatever is deposited in a frame is there at that read and at all later ones."""

    name = "cosmic_rays"
    random = True

    def constants(self, observation, maps, rng) -> HitParams:
        """Return flux and charges for the window and the length of an integration."""
        o = observation
        pixels, reads = o.shape[0] * o.shape[1], o.reads_per_integration
        return hit_params(o.detector.cosmic_rays, o.detector.pixel_um, pixels, reads, o.subarray.frame_time_s)

    def draw(self, key, state: Charge, refs, params) -> tuple[Charge, dict]:
        """Add the deposits of the integration, in pixels that see light."""
        shape = state.electrons.shape
        hits = tracks(key, params.own, shape)
        hits = hits._replace(electrons=hits.electrons * refs.light[hits.y, hits.x])

        def add(frame: Array, plane: Array) -> Array:
            now = jnp.where(hits.frame <= frame, hits.electrons, 0)
            return plane.at[hits.y, hits.x].add(now)

        electrons = jax.vmap(add)(jnp.arange(shape[0]), state.electrons)
        return replace(state, electrons=electrons), {"cosmic_rays": hits}
