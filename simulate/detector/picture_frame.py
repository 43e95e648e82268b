"""Picture-frame noise: a fixed pattern, strongest at the edges of the detector, whose strength drifts like 1/f.

    DN(y, x, t) = A T(y, x) p(t) / gain,    p of the spectrum 1/f, the same along a line

T falls exponentially from the edges of the whole detector and has an rms of one over it; p goes on from line to line,
frame to frame and integration to integration as the 1/f noise does. Rauscher (2015, PASP 127, 1144), section on the
zeroth principal component; the shape of his template is not public.
"""

from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.simulate.detector.one_over_f import poles
from uptheramp.simulate.effect import Effect, frame_keys
from uptheramp.simulate.state import Frames


@dataclass(frozen=True)
class PictureFrameSettings:
    """Factor on the table's amplitude."""

    amplitude: float = 1.0

    def __post_init__(self):
        if self.amplitude < 0:
            raise ValueError("amplitude must not be negative")


class Pattern(eqx.Module):
    """The pattern in the window (electrons for a unit of p), the poles of p, the times that pass between lines."""

    template_e: Float[Array, "y x"]
    rate_per_s: Float[Array, "pole"]
    deviation: Float[Array, "pole"]
    line_s: Float[Array, ""]
    tail_s: Float[Array, ""]  # from the last line of a frame to the first of the next
    slow_axis: int = eqx.field(static=True)

    @property
    def lines(self) -> int:
        """Lines of a frame."""
        return self.template_e.shape[2 - abs(self.slow_axis)]

    def image(self, strength: Float[Array, "frame line"]) -> Float[Array, "frame y x"]:
        """Return the pattern in frames whose lines have these strengths, in the order of reading."""
        placed = strength[:, :: np.sign(self.slow_axis)].astype(self.template_e.dtype)
        return self.template_e * (placed[:, :, None] if abs(self.slow_axis) == 2 else placed[:, None, :])


def template(shape: tuple[int, int], edge_px: float) -> Float[np.ndarray, "y x"]:
    """Pattern of a whole detector, rms one."""
    y, x = (np.minimum(np.arange(n), n - 1 - np.arange(n)) for n in shape)
    pattern = np.exp(-np.minimum(y[:, None], x) / edge_px)
    return pattern / np.sqrt(np.mean(pattern**2))


class PictureFrame(Effect):
    """A pattern of which each line shows the present strength."""

    name = "picture_frame"
    random = True
    default = False  # the shape of its pattern is a guess
    settings = PictureFrameSettings

    def constants(self, observation, maps, rng) -> Pattern:
        """Return the pattern in the window and its clock."""
        o, table = observation, self.table(observation.detector)
        (x, y), (width, height) = o.subarray.start, o.subarray.size
        image = template(o.detector.shape, table.edge_px)[y - 1 : y - 1 + height, x - 1 : x - 1 + width]
        lines, pixels = o.shape if abs(o.readout.fast_axis) == 1 else o.shape[::-1]
        line_s = (pixels // o.readout.outputs + o.subarray.row_overhead_clocks) * CLOCK_S
        rate, variance = poles()
        return Pattern(
            template_e=np.asarray(table.amplitude_e * o.settings_of(self.name).amplitude * image, np.float32),
            rate_per_s=rate,
            deviation=np.sqrt(variance),
            line_s=np.float64(line_s),
            tail_s=np.float64(o.subarray.frame_time_s - (lines - 1) * line_s),
            slow_axis=o.readout.slow_axis,
        )

    def start(self, key, own: Pattern) -> Float[Array, "pole"]:
        """Return the state of each pole at the first line, drawn from the stationary law."""
        return jax.random.normal(key, own.deviation.shape, jnp.float64) * own.deviation

    def draw(self, key, state: Frames, refs, params) -> tuple[Frames, dict]:
        """Add the pattern to every frame; `memory` holds the state at the first line of the next integration."""
        own, frames = params.own, state.dn.shape[0]
        spans = jnp.append(jnp.full(own.lines - 1, own.line_s), own.tail_s)

        def frame(begun: Array, now: Array) -> tuple[Array, Array]:
            unit = jax.random.normal(now, (own.lines, own.deviation.size), jnp.float64)
            fades, moved = _step(own, spans[:, None], unit)

            def join(left: tuple[Array, Array], right: tuple[Array, Array]) -> tuple[Array, Array]:
                return left[0] * right[0], right[0] * left[1] + right[1]

            faded, added = jax.lax.associative_scan(join, (fades, moved))
            states = jnp.concatenate([begun[None], faded * begun + added])
            return states[-1], states[:-1].sum(1)

        after, strength = jax.lax.scan(frame, state.memory[self.name], frame_keys(key, frames))
        reset_s = params.cadence_s - frames * params.frame_time_s
        unit = jax.random.normal(jax.random.fold_in(key, frames), after.shape, jnp.float64)
        fades, moved = _step(own, reset_s, unit)
        dn = state.dn + params.mirror * own.image(strength) / refs.gain
        return replace(state, dn=dn, memory=state.memory | {self.name: fades * after + moved}), {}

    def covariance(self, state: Frames, refs, params, i, j):
        """A^2 T^2 sum over the poles of v exp(-rate |t_i - t_j|) / gain^2, DN^2."""
        own = params.own
        span = jnp.abs(i - j) * params.frame_time_s
        unit = (own.deviation**2 * jnp.exp(-own.rate_per_s * span)).sum()
        return own.template_e**2 * unit / refs.gain**2


def _step(own: Pattern, span_s: Array, unit: Array) -> tuple[Array, Array]:
    """How much of the poles is left after a time, and what has come to them."""
    fades, spread = jnp.exp(-own.rate_per_s * span_s), jnp.sqrt(-jnp.expm1(-2 * own.rate_per_s * span_s))
    return jnp.broadcast_to(fades, unit.shape), spread * own.deviation * unit
