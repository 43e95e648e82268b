"""Hits by cosmic rays: charge left along short straight tracks between two reads.

The number of hits in an integration is Poisson with mean flux x area x time. A track has a length of density
l^-power, any direction, and lies anywhere; the ion loses dE/dx from the Moyal law times Z^2 along it, which makes an
electron for every `ev_per_electron`. The charge spreads by diffusion: a pixel's share is the integral over the pixel
of the track smeared by a Gaussian (for no diffusion, its chord), found by a midpoint rule with steps of about one rms
of the cloud. The electrons of each pixel are then counted by Poisson.

The mean leaves the exposure as it is: hits are events that a reduction takes out, not light.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from scipy.stats import norm

from uptheramp.calibrate.instruments.core import CosmicRays as Table
from uptheramp.simulate.detector.poisson import poisson
from uptheramp.simulate.detector.power_law import PowerLaw
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Charge

STEP_PX = 0.35  # along a track; smeared by 0.3 px, its ripples are 1e-6
REACH = 1  # pixels around each step that receive charge
MARGIN_PX = 4  # around the window: tracks may begin there
BOUND_SIGMA = 8  # hits and steps have places for their mean and so many standard deviations
QUANTILES = (np.arange(200_000) + 0.5) / 200_000


@dataclass(frozen=True)
class CosmicRaySettings:
    """`flux_scale` multiplies the table's flux: a storm, or solar maximum."""

    flux_scale: float = 1.0

    def __post_init__(self):
        if self.flux_scale < 0:
            raise ValueError("flux_scale must not be negative")


class HitParams(eqx.Module):
    """Laws of number, length, ion and loss; `most` and `steps` (static) bound the hits and the steps along them."""

    hits_per_integration: Float[Array, ""]
    length_px: PowerLaw
    ion: Float[Array, "ion"]  # cumulative shares
    square_of_z: Float[Array, "ion"]
    moyal: Float[Array, "2"]  # location and scale of the protons, e- per pixel of track
    diffusion_px: Float[Array, ""]
    most: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)


class Hits(NamedTuple):
    """Tracks of an integration: frame, middle (pixels), direction, length, charge (0: no hit)."""

    frame: Int[Array, "hit"]
    y: Float[Array, "hit"]
    x: Float[Array, "hit"]
    angle: Float[Array, "hit"]
    length_px: Float[Array, "hit"]
    electrons: Float[Array, "hit"]


class Deposits(NamedTuple):
    """The truth: electrons left in (frame, y, x); entries with no charge are padding."""

    frame: Int[Array, "deposit"]
    y: Int[Array, "deposit"]
    x: Int[Array, "deposit"]
    electrons: Float[Array, "deposit"]


def hit_params(table: Table, pixel_um: float, shape: tuple[int, int, int], frame_time_s: float) -> HitParams:
    """Return the laws for integrations of shape (frame, y, x); the mean energy of a hit is the table's."""
    frames, height, width = shape
    area_cm2 = (height + 2 * MARGIN_PX) * (width + 2 * MARGIN_PX) * (pixel_um * 1e-4) ** 2
    mean = table.rate_per_cm2_s * area_cm2 * frames * frame_time_s
    shortest, longest = (length / pixel_um for length in table.track_um)
    law = PowerLaw.between((shortest, longest), table.track_power)
    lengths = np.asarray(law(QUANTILES))
    share = np.array(table.ion_share) / np.sum(table.ion_share)
    squares = np.array(table.ion_charge) ** 2
    location, scale = table.moyal_ev_per_um
    losses = np.maximum(location + scale * np.asarray(moyal(norm.ppf(QUANTILES))), 0)
    # energy of the mean ion on the mean track, were the Moyal law in e- per pixel
    per_ev = table.mean_energy_ev / (losses.mean() * lengths.mean() * share @ squares) / table.ev_per_electron
    steps = np.asarray(steps_along(lengths), float)
    return HitParams(
        hits_per_integration=np.float32(mean),
        length_px=law,
        ion=np.cumsum(share).astype(np.float32),
        square_of_z=squares.astype(np.float32),
        moyal=np.asarray([location * per_ev, scale * per_ev], np.float32),
        diffusion_px=np.float32(table.diffusion_px),
        most=int(np.ceil(mean + BOUND_SIGMA * (np.sqrt(mean) + 1))),
        steps=int(np.ceil(mean * steps.mean() + BOUND_SIGMA * np.sqrt(mean * (steps**2).mean()) + steps.max())),
    )


def moyal(normal: Array) -> Float[Array, "*hit"]:
    """Return the standard Moyal variate of a normal one: -ln z^2."""
    return -2 * jnp.log(jnp.abs(normal))


def steps_along(length_px: Array) -> Int[Array, "*hit"]:
    """Return the number of steps on a track, at least two."""
    return jnp.maximum(jnp.ceil(length_px / STEP_PX), 2).astype(jnp.int32)


def shares(sub_y: Float[Array, "point"], sub_x: Float[Array, "point"], diffusion_px) -> Float[Array, "point 3 3"]:
    """Share of a point's charge in the 3 x 3 pixels around it: a Gaussian integrated over the pixels, unit sum."""
    edges = jnp.arange(-REACH, REACH + 2) - 0.5

    def along(place: Array) -> Array:
        cumulative = jax.scipy.special.erf((edges - place[:, None]) / (diffusion_px * jnp.sqrt(2.0)))
        part = jnp.diff(cumulative, axis=1)
        return part / part.sum(1, keepdims=True)

    return along(sub_y)[:, :, None] * along(sub_x)[:, None, :]


def struck(key: Key[Array, ""], params: HitParams, shape: tuple[int, int, int]) -> Hits:
    """Return the hits of one integration of shape (frame, y, x)."""
    frames, height, width = shape
    number_key, place_key, loss_key = jax.random.split(key, 3)
    number = poisson(number_key, params.hits_per_integration)
    u = jax.random.uniform(place_key, (6, params.most), jnp.float32)
    run = params.length_px(u[0])
    square = jnp.asarray(params.square_of_z)[jnp.searchsorted(params.ion, u[1]).clip(max=len(params.ion) - 1)]
    loss = params.moyal[0] + params.moyal[1] * moyal(jax.random.normal(loss_key, u[0].shape, jnp.float32))
    return Hits(
        frame=jnp.minimum((u[2] * frames).astype(jnp.int32), frames - 1),
        y=u[4] * (height + 2 * MARGIN_PX) - MARGIN_PX - 0.5,
        x=u[5] * (width + 2 * MARGIN_PX) - MARGIN_PX - 0.5,
        angle=2 * jnp.pi * u[3],
        length_px=run,
        electrons=square * jnp.maximum(loss, 0) * run * (jnp.arange(params.most) < number),
    )


def tracks(key: Key[Array, ""], params: HitParams, shape: tuple[int, int, int]) -> Deposits:
    """Return the deposits of one integration of shape (frame, y, x)."""
    _, height, width = shape
    hit_key, count_key = jax.random.split(key)
    hits = struck(hit_key, params, shape)
    # all steps of all tracks in one row: step j belongs to the track within whose share of the row it lies
    count = steps_along(hits.length_px) * (hits.electrons > 0)
    end = jnp.cumsum(count)
    row = jnp.arange(params.steps)
    of = jnp.searchsorted(end, row, side="right").clip(max=params.most - 1)
    hit = Hits(*(values[of] for values in hits))
    part_of_track = jnp.maximum(count[of], 1)
    along = ((row - end[of] + count[of] + 0.5) / part_of_track - 0.5) * hit.length_px
    y, x = hit.y + along * jnp.sin(hit.angle), hit.x + along * jnp.cos(hit.angle)
    electrons = jnp.where(row < end[-1], hit.electrons / part_of_track, 0)

    iy, ix = jnp.round(y).astype(jnp.int32), jnp.round(x).astype(jnp.int32)
    part = shares(y - iy, x - ix, params.diffusion_px)
    near = jnp.arange(-REACH, REACH + 1)
    yy = jnp.broadcast_to(iy[:, None, None] + near[:, None], part.shape)
    xx = jnp.broadcast_to(ix[:, None, None] + near, part.shape)
    inside = (yy >= 0) & (yy < height) & (xx >= 0) & (xx < width)
    counted = poisson(count_key, (part * electrons[:, None, None]).astype(jnp.float32)) * inside
    when = jnp.broadcast_to(hit.frame[:, None, None], part.shape)
    yy, xx = jnp.clip(yy, 0, height - 1), jnp.clip(xx, 0, width - 1)
    return Deposits(when.ravel(), yy.ravel(), xx.ravel(), counted.ravel())


def deposited(electrons: Float[Array, "frame y x"], hits: Deposits) -> Float[Array, "frame y x"]:
    """Charge with the hits: what is left in a frame is there at that read and at all later ones."""

    def add(frame: Array, plane: Array) -> Array:
        return plane.at[hits.y, hits.x].add(jnp.where(hits.frame <= frame, hits.electrons, 0).astype(plane.dtype))

    return jax.vmap(add)(jnp.arange(len(electrons)), electrons)


class CosmicRays(Effect):
    """Charge steps along tracks, in pixels that see light."""

    name = "cosmic_rays"
    random = True
    settings = CosmicRaySettings

    def constants(self, observation, maps, rng) -> HitParams:
        """Return the laws for the window and the length of an integration."""
        o = observation
        flux = o.detector.cosmic_rays.rate_per_cm2_s * o.settings_of(self.name).flux_scale
        table = replace(o.detector.cosmic_rays, rate_per_cm2_s=flux)
        return hit_params(table, o.detector.pixel_um, (o.reads_per_integration, *o.shape), o.subarray.frame_time_s)

    def draw(self, key, state: Charge, refs, params) -> tuple[Charge, dict]:
        """Add the deposits of the integration."""
        hits = tracks(key, params.own, state.electrons.shape)
        hits = hits._replace(electrons=hits.electrons * refs.light[hits.y, hits.x])
        return replace(state, electrons=deposited(state.electrons, hits)), {"cosmic_rays": hits}
