"""Where the telescope points in each frame: jitter, drift, moves of the antenna, tilts of a mirror segment.

All knobs of position are angles on the sky (mas), along x and y of the detector; truth holds pixels. Each frame has one
state, the mean over the frame's own exposure as read first: pixels of a frame read later see the same.
No size is known for antenna moves and tilt events (physics sheet, section 13): they are there when a scenario says so.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.simulate.effect import Effect, frame_keys
from uptheramp.simulate.state import Pointing

if TYPE_CHECKING:
    from uptheramp.simulate.observation import Observation

HOUR_S = 3600.0
SIGMAS = 6.0  # of jitter that images are made for
FARTHEST_PX, WIDEST = 3.0, 0.3  # of what images are made for
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
ALONE = np.ones(1)

Reach = tuple[float, float, float]  # largest |x|, |y| (px) and |relative width|
STILL: Reach = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class AntennaMove:
    """The high-gain antenna moves: the image jumps and comes back exponentially."""

    at_s: float  # after the start of the exposure
    shift_mas: tuple[float, float]
    decay_s: float


@dataclass(frozen=True)
class TiltEvent:
    """A mirror segment tilts: a step in the light, the position and the width of images."""

    at_s: float  # after the start of the exposure
    flux: float = 0.0  # relative
    shift_mas: tuple[float, float] = (0.0, 0.0)
    width: float = 0.0  # relative


@dataclass(frozen=True)
class PointingSettings:
    """Knobs. The jitter of STPSF (0.8 mas an axis) is that within an exposure: for means over a frame a guess."""

    jitter_mas: float = 0.8  # white from frame to frame, rms an axis
    wander_mas: float = 0.0  # red: rms an axis of a process with the spectrum 1 / (1 + (2 pi f wander_s)^2)
    wander_s: float = 600.0  # its correlation time
    offset_mas: tuple[float, float] = (0.0, 0.0)  # of the star from where the table puts it
    drift_mas_per_h: tuple[float, float] = (0.0, 0.0)
    antenna: tuple[AntennaMove, ...] = ()
    tilt: tuple[TiltEvent, ...] = ()

    def __post_init__(self):
        if min(self.jitter_mas, self.wander_mas) < 0:
            raise InputError("pointing: jitter_mas and wander_mas are rms values and cannot be negative")
        if self.wander_s <= 0 or any(move.decay_s <= 0 for move in self.antenna):
            raise InputError("pointing: wander_s and antenna.decay_s must be positive")
        if any(event.flux <= -1 for event in self.tilt):
            raise InputError("pointing: tilt.flux is relative: -1 or less leaves no light")


class Motion(eqx.Module):
    """The knobs in pixels and seconds, as JAX sees them."""

    jitter_px: Float[Array, "axis"]
    wander_px: Float[Array, "axis"]
    wander_s: Float[Array, ""]
    offset_px: Float[Array, "axis"]
    drift_px_per_s: Float[Array, "axis"]
    antenna_at_s: Float[Array, "move"]
    antenna_px: Float[Array, "move axis"]
    antenna_decay_s: Float[Array, "move"]
    tilt_at_s: Float[Array, "event"]
    tilt_px: Float[Array, "event axis"]
    tilt_width: Float[Array, "event"]
    tilt_flux: Float[Array, "event"]


def motion(settings: PointingSettings, pixel_scale_arcsec: tuple[float, float]) -> Motion:
    """Return the knobs in pixels, made in numpy."""
    px_per_mas = 1e-3 / np.asarray(pixel_scale_arcsec)
    s = settings
    return Motion(
        jitter_px=s.jitter_mas * px_per_mas,
        wander_px=s.wander_mas * px_per_mas,
        wander_s=np.float64(s.wander_s),
        offset_px=np.asarray(s.offset_mas) * px_per_mas,
        drift_px_per_s=np.asarray(s.drift_mas_per_h) * px_per_mas / HOUR_S,
        antenna_at_s=np.array([m.at_s for m in s.antenna], float),
        antenna_px=np.array([m.shift_mas for m in s.antenna], float).reshape(-1, 2) * px_per_mas,
        antenna_decay_s=np.array([m.decay_s for m in s.antenna], float),
        tilt_at_s=np.array([e.at_s for e in s.tilt], float),
        tilt_px=np.array([e.shift_mas for e in s.tilt], float).reshape(-1, 2) * px_per_mas,
        tilt_width=np.array([e.width for e in s.tilt], float),
        tilt_flux=np.array([e.flux for e in s.tilt], float),
    )


def reach_of(observation: "Observation") -> Reach:
    """Give how far images move and widen at most: what their expansions must hold for.

    Raises
    ------
    InputError
        For events outside the exposure, and for more motion than FARTHEST_PX or WIDEST.
    """
    o = observation
    if MovingTelescope.name not in o.effects:
        return STILL
    settings = o.settings_of(MovingTelescope.name)
    for kind in ("antenna", "tilt"):
        for event in getattr(settings, kind):
            if not 0 <= event.at_s <= o.duration_s:
                raise InputError(f"pointing.{kind}: at_s = {event.at_s:g} is not in the exposure of {o.duration_s:g} s")
    m = motion(settings, o.detector.pixel_scale_arcsec)
    steady = np.abs(m.offset_px) + np.abs(m.drift_px_per_s) * o.duration_s
    events = np.abs(m.antenna_px).sum(0) + np.abs(m.tilt_px).sum(0)
    x, y = steady + events + SIGMAS * np.hypot(m.jitter_px, m.wander_px)
    width = float(np.abs(m.tilt_width).sum())
    if max(x, y) > FARTHEST_PX or width > WIDEST:
        raise InputError(
            f"pointing: images would move by {max(x, y):.2f} px and widen by {width:.0%}; "
            f"up to {FARTHEST_PX:g} px and {WIDEST:.0%} can be rendered: turn the knobs down"
        )
    return float(x), float(y), width


def positions(pointing: Pointing, axis: int) -> tuple[Float[Array, "node frame"], Float[np.ndarray, "node"]]:
    """Positions along an axis (0 x, 1 y; px) and their weights in the average over jitter: one position without it."""
    middle = pointing.shift_px[None, :, axis]
    if pointing.jitter_px is None:
        return middle, ALONE
    return middle + pointing.jitter_px[axis] * NODES[:, None], WEIGHTS


def path(
    m: Motion, start_s: Float[Array, "frame"], exposure_s: Float[Array, ""]
) -> tuple[Float[Array, "frame axis"], Float[Array, "frame"], Float[Array, "frame"]]:
    """Shift (px), relative width and relative flux, mean over each exposure, without what is random."""
    middle = start_s + exposure_s / 2
    shift = m.offset_px + middle[:, None] * m.drift_px_per_s
    begun = jnp.maximum(start_s[:, None] - m.antenna_at_s, 0) / m.antenna_decay_s
    ended = jnp.maximum(start_s[:, None] + exposure_s - m.antenna_at_s, 0) / m.antenna_decay_s
    moved = (jnp.exp(-begun) - jnp.exp(-ended)) * m.antenna_decay_s / exposure_s
    tilted = jnp.clip((start_s[:, None] + exposure_s - m.tilt_at_s) / exposure_s, 0, 1)
    return shift + moved @ m.antenna_px + tilted @ m.tilt_px, tilted @ m.tilt_width, tilted @ m.tilt_flux


class MovingTelescope(Effect):
    """Shift, width and flux of images in each frame; off unless a scenario asks for it."""

    name = "pointing"
    random = True
    default = False
    settings = PointingSettings

    def constants(self, observation, maps, rng) -> Motion:
        """Return the knobs in pixels of this detector."""
        return motion(observation.settings_of(self.name), observation.detector.pixel_scale_arcsec)

    def start(self, key, own: Motion) -> Float[Array, "axis"]:
        """Return where the wandering begins, in units of its rms."""
        return jax.random.normal(key, (2,), jnp.float64)

    def mean(self, state: Pointing, refs, params) -> Pointing:
        """What is certain; jitter and wandering are left to be averaged over."""
        m = params.own
        frames = jnp.arange(state.width.shape[0])
        start_s = state.integration * params.cadence_s + (frames - 1) * params.frame_time_s
        shift, width, flux = path(m, start_s, params.frame_time_s)
        return replace(
            state,
            shift_px=state.shift_px + shift,
            width=state.width + width,
            flux=state.flux + flux,
            jitter_px=jnp.hypot(m.jitter_px, m.wander_px),
        )

    def draw(self, key, state: Pointing, refs, params) -> tuple[Pointing, dict]:
        """One path: `memory` holds the wandering, which continues through resets and integrations."""
        m = params.own
        frames = state.width.shape[0]
        unit = jax.vmap(lambda k: jax.random.normal(k, (2, 2), jnp.float64))(frame_keys(key, frames))
        fades = jnp.exp(-params.frame_time_s / m.wander_s)

        def step(now: Array, fresh: Array) -> tuple[Array, Array]:
            return fades * now + jnp.sqrt(1 - fades**2) * fresh, now

        after, wander = jax.lax.scan(step, state.memory[self.name], unit[:, 0])
        # the frames of the reset: one more step, as long as they last
        left = jnp.exp(-(params.cadence_s - frames * params.frame_time_s) / m.wander_s)
        fresh = jax.random.normal(jax.random.fold_in(key, frames), (2,), jnp.float64)
        after = left * after + jnp.sqrt(jnp.maximum(1 - left**2, 0)) * fresh
        certain = self.mean(state, refs, params)
        shift = certain.shift_px + params.mirror * (wander * m.wander_px + unit[:, 1] * m.jitter_px)
        memory = state.memory | {self.name: after}
        return replace(certain, shift_px=shift, jitter_px=None, memory=memory), {}

    def covariance(self, state: Pointing, refs, params, i, j) -> Float[Array, "axis"]:
        """Return the covariance of shifts in frames i and j: jitter^2 [i = j] + wander^2 exp(-|t_i - t_j| / tau)."""
        m = params.own
        fades = jnp.exp(-jnp.abs(i - j) * params.frame_time_s / m.wander_s)
        return jnp.where(i == j, m.jitter_px**2, 0.0) + m.wander_px**2 * fades
