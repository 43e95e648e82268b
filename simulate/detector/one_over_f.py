"""Pink noise of the electronics, continuous through the exposure.

S(f) = A^2 / f is a sum of Ornstein-Uhlenbeck processes (poles) whose states are carried over line ends, reset frames
and gaps, so there is no seam anywhere. A line is drawn in blocks: given the states at its start, the samples of a block
and the states after it are jointly normal with a covariance known in closed form, factored once in float64. States stay
in float64: in float32 the slowest pole would drift.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from scipy.optimize import nnls

from uptheramp.calibrate.instruments.core import Detector, Readout
from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Frames

LOWEST_HZ, HIGHEST_HZ = 1e-5, 5e4
SLOWEST_HZ, FASTEST_HZ, POLES_PER_DECADE = 2e-6, 4e4, 2
PIVOT_HZ = 100.0  # where spectra of all slopes are A^2 / f
BLOCK = 128  # most samples drawn at once


@dataclass(frozen=True)
class OneOverFSettings:
    """Factor on the table's amplitudes, and the slope of the spectrum: A^2 / f (PIVOT_HZ / f)^(slope - 1)."""

    amplitude: float = 1.0
    slope: float = 1.0

    def __post_init__(self):
        if self.amplitude < 0:
            raise ValueError("amplitude must not be negative")
        if not 0 < self.slope < 2:
            raise ValueError(f"slope is {self.slope}; between 0 and 2")


@dataclass(frozen=True)
class Layout:
    """How the samples of a frame follow each other in time, in clocks; static."""

    lines: int
    kept: int  # pixels of a line read by one output
    overhead: int  # clocks after each line
    tail: int  # clocks from the end of the last line to the end of the frame
    reset_clocks: int  # clocks of the reset frames between integrations
    outputs: int
    fast_axis: int
    slow_axis: int
    interleaved: bool
    streams: tuple[str, ...]  # "common", "alternating" and one "independent" for each output, where not zero
    slope: float = 1.0

    @property
    def block(self) -> int:
        """Samples drawn at once: the largest divisor of a line up to BLOCK."""
        return max(n for n in range(1, min(BLOCK, self.kept) + 1) if self.kept % n == 0)


class Pink(eqx.Module):
    """Constants of the sampler; K poles, unit amplitude, `amplitude_e` scales each stream."""

    amplitude_e: Float[Array, "stream"]
    rate_per_s: Float[Array, "pole"]
    inside: Float[Array, "joint joint"]  # factor of a block followed at once by another
    last: Float[Array, "joint joint"]  # factor of the last block of a line, overhead included
    powers: Float[Array, "block pole"]  # how a state at the start of a block shows in its samples
    decay: Float[Array, "part pole"]  # over: a block, the last block, the tail, the reset frames
    deviation: Float[Array, "pole"]  # stationary standard deviation
    layout: Layout = eqx.field(static=True)


def poles(slope: float | Float[Array, ""] = 1.0) -> tuple[np.ndarray, Any]:
    """Rates (1/s) and variances of the poles whose summed discrete spectrum is 1/f times (PIVOT_HZ / f)^(slope - 1).

    Slope 1 is a fit (non-negative least squares). For others a pole gets the part that it has in the integral over
    poles of all rates that is f^-slope: its variance times (r / 2 pi PIVOT_HZ)^(1 - slope) sin(pi slope / 2).
    """
    rate, variance = _pink_poles()
    sine = (jnp if isinstance(slope, jax.Array) else np).sin(np.pi * slope / 2)
    return rate, variance * (rate / (2 * np.pi * PIVOT_HZ)) ** (1 - slope) * sine


@cache
def _pink_poles() -> tuple[np.ndarray, np.ndarray]:
    decades = np.log10(FASTEST_HZ / SLOWEST_HZ)
    corner = np.geomspace(SLOWEST_HZ, FASTEST_HZ, int(np.ceil(decades * POLES_PER_DECADE)) + 1)
    rate = 2 * np.pi * corner
    f = np.geomspace(LOWEST_HZ, HIGHEST_HZ, 600)[:, None]
    a, one_less_a2, one_less_a = np.exp(-rate * CLOCK_S), -np.expm1(-2 * rate * CLOCK_S), -np.expm1(-rate * CLOCK_S)
    spectrum = 2 * CLOCK_S * one_less_a2 / (one_less_a**2 + 4 * a * np.sin(np.pi * f * CLOCK_S) ** 2)
    variance, _ = nnls(spectrum * f, np.ones(len(f)))
    used = variance > 0
    return rate[used], variance[used]


def factor(rate: np.ndarray, variance: np.ndarray, samples: int, clocks: int) -> np.ndarray:
    """Square root of the covariance of (samples of a block, states `clocks` after its start), states given.

    With s = 0 at the start: cov(s_k(t), s_k(t')) = v_k (e^(-r|t-t'|) - e^(-r(t+t'))).
    """
    t = np.append(np.arange(1, samples + 1), clocks) * CLOCK_S
    near = np.exp(-rate[:, None, None] * np.abs(t[:, None] - t))
    # 1 - e^(-2 r min) keeps its digits for slow poles, where the difference of exponentials loses them
    each = variance[:, None, None] * near * -np.expm1(-2 * rate[:, None, None] * np.minimum(t[:, None], t))
    joint = np.zeros((samples + len(rate),) * 2)
    joint[:samples, :samples] = each[:, :samples, :samples].sum(0)
    joint[samples:, :samples] = each[:, samples, :samples]
    joint[:samples, samples:] = joint[samples:, :samples].T
    joint[samples:, samples:] = np.diag(each[:, samples, samples])
    # scaled to unit diagonal before the decomposition: slow poles move by 1e-8 of what fast ones do
    scale = np.sqrt(np.diag(joint))
    value, vector = np.linalg.eigh(joint / scale[:, None] / scale)
    return scale[:, None] * vector * np.sqrt(np.maximum(value, 0))


def layout(detector: Detector, readout: Readout, shape: tuple[int, int], clocks: tuple[int, int, int]) -> Layout:
    """Return the layout of a window; `clocks` are (row overhead, frame, reset frames)."""
    lines, pixels = shape if abs(readout.fast_axis) == 1 else shape[::-1]
    overhead, frame, reset = clocks
    kept = pixels // readout.outputs
    noise = detector.one_over_f
    independent = noise.independent_e if readout.outputs > 1 else 0.0
    streams = ("common",) * (_common(detector, readout) > 0) + ("alternating",) * (noise.alternating_e > 0)
    return Layout(
        lines=lines,
        kept=kept,
        overhead=overhead,
        tail=frame - lines * (kept + overhead),
        reset_clocks=reset,
        outputs=readout.outputs,
        fast_axis=readout.fast_axis,
        slow_axis=readout.slow_axis,
        interleaved=detector.kind == "SiAs",
        streams=streams + ("independent",) * (readout.outputs if independent > 0 else 0),
    )


def pink(detector: Detector, readout: Readout, plan: Layout) -> Pink:
    """Return the sampler's constants for a detector and a layout."""
    rate, variance = poles(plan.slope)
    amplitude = {
        "common": _common(detector, readout),
        "alternating": detector.one_over_f.alternating_e,
        "independent": detector.one_over_f.independent_e,
    }
    last = plan.block + plan.overhead
    spans = np.array([plan.block, last, plan.tail, plan.reset_clocks])
    return Pink(
        amplitude_e=np.array([amplitude[s] for s in plan.streams], np.float32),
        rate_per_s=rate,
        inside=factor(rate, variance, plan.block, plan.block).astype(np.float32),
        last=factor(rate, variance, plan.block, last).astype(np.float32),
        powers=np.exp(-rate * np.arange(1, plan.block + 1)[:, None] * CLOCK_S).astype(np.float32),
        decay=np.exp(-rate * spans[:, None] * CLOCK_S),
        deviation=np.sqrt(variance),
        layout=plan,
    )


def level_covariance(
    plan: Layout, readout: Readout, segments: int = 1
) -> Float[np.ndarray, "group line_distance segment_distance"]:
    """Covariance of the means of equal segments of lines of one output, by their distance, for unit amplitude.

    A mean is over the n samples of a segment and the averaged frames of a group. Distances run over 0 ... groups - 1,
    1 - lines ... lines - 1 and 1 - segments ... segments - 1, zero in the middle. T > n clocks apart it is

    sum_k v_k exp(-r_k (T - n + 1)) (<exp(-r_k j)>_j<n)^2;  of a segment itself sum_k v_k <exp(-r_k |i - j|)>_i,j<n.
    """
    rate, variance = poles(plan.slope)
    fade, samples = rate * CLOCK_S, plan.kept // segments
    line = plan.kept + plan.overhead
    frame = plan.lines * line + plan.tail

    def pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
        step = np.arange(1 - n, n)
        return step, (n - np.abs(step)) / n**2

    apart, often = pairs(samples)
    alone = sum(v * (np.exp(-f * np.abs(apart)) @ often) for f, v in zip(fade, variance, strict=True))
    inside = np.exp(-fade * np.arange(samples)[:, None]).mean(0) ** 2
    groups = np.arange(readout.ngroups)[:, None, None] * readout.frames_per_group * frame
    lines = np.arange(1 - plan.lines, plan.lines)[:, None] * line
    start = groups + lines + np.arange(1 - segments, segments) * samples

    def of(clocks: np.ndarray) -> np.ndarray:
        gap = np.maximum(np.abs(clocks) - samples + 1, 0)
        far = sum(v * m * np.exp(-f * gap) for f, v, m in zip(fade, variance, inside, strict=True))
        return np.where(clocks == 0, alone, far)

    reads = zip(*pairs(readout.nframes), strict=True)
    return np.sum([weight * of(start + step * frame) for step, weight in reads], axis=0)


def initial(key: Key[Array, ""], params: Pink) -> Float[Array, "stream pole"]:
    """States drawn from the stationary law."""
    count = len(params.layout.streams), params.deviation.shape[0]
    return jax.random.normal(key, count, jnp.float64) * params.deviation


def wait(key: Key[Array, ""], states: Float[Array, "stream pole"], params: Pink, part: int) -> Array:
    """States after a gap in which nothing is read."""
    a = params.decay[part]
    fresh = jax.random.normal(key, states.shape, jnp.float64) * params.deviation
    return a * states + jnp.sqrt(jnp.maximum(1 - a * a, 0)) * fresh


def frame_of(key: Key[Array, ""], state: Float[Array, "pole"], params: Pink) -> tuple[Array, Array]:
    """One stream through one frame: (state at its end, samples (line, kept))."""
    plan = params.layout
    count = plan.kept // plan.block
    joint = params.inside.shape[0]
    z = jax.random.normal(key, (plan.lines, count, joint), jnp.float32)
    drawn = z[:, -1:] @ params.last.T
    if count > 1:
        drawn = jnp.concatenate([z[:, :-1] @ params.inside.T, drawn], axis=1)
    drawn = drawn.reshape(plan.lines * count, joint)
    moved = drawn[:, plan.block :].astype(jnp.float64)
    spans = jnp.where(jnp.arange(plan.lines * count)[:, None] % count == count - 1, params.decay[1], params.decay[0])

    def join(left: tuple[Array, Array], right: tuple[Array, Array]) -> tuple[Array, Array]:
        return left[0] * right[0], left[1] * right[0] + right[1]

    total, end = jax.lax.associative_scan(join, (spans, moved))
    after = total * state + end
    start = jnp.concatenate([state[None], after[:-1]]).astype(jnp.float32)
    samples = drawn[:, : plan.block] + start @ params.powers.T
    return after[-1], samples.reshape(plan.lines, plan.kept)


def image_of(samples: Float[Array, "stream line kept"], params: Pink) -> Float[Array, "y x"]:
    """Return samples of all streams as an image in electrons."""
    plan = params.layout
    by_name = {}
    for name, stream in zip(plan.streams, samples * params.amplitude_e[:, None, None], strict=True):
        by_name.setdefault(name, []).append(stream)
    shape = (plan.lines, plan.outputs, plan.kept)
    total = jnp.zeros(shape, jnp.float32)
    if "common" in by_name:
        total = total + by_name["common"][0][:, None]
    if "independent" in by_name:
        total = total + jnp.stack(by_name["independent"], axis=1)
    # all outputs read their pixels at once: the image has them side by side, or interleaved
    pixels = (jnp.swapaxes(total, 1, 2) if plan.interleaved else total).reshape(plan.lines, -1)
    if "alternating" in by_name:
        stream = jnp.broadcast_to(by_name["alternating"][0][:, None], shape)
        stream = (jnp.swapaxes(stream, 1, 2) if plan.interleaved else stream).reshape(plan.lines, -1)
        pixels = pixels + stream * jnp.where(jnp.arange(pixels.shape[1]) % 2, -1, 1)
    pixels = pixels[:: np.sign(plan.slow_axis), :: np.sign(plan.fast_axis)]
    return pixels if abs(plan.fast_axis) == 1 else pixels.T


class OneOverF(Effect):
    """Pink noise: common to all outputs, independent in each, alternating between even and odd pixels of a line."""

    name = "one_over_f"
    random = True
    settings = OneOverFSettings

    def constants(self, observation, maps, rng) -> Pink:
        """Return the sampler for the window and its clock."""
        o = observation
        frame = round(o.subarray.frame_time_s / CLOCK_S)
        clocks = o.subarray.row_overhead_clocks, frame, frame * o.pattern.reset_frames
        knobs = o.settings_of(self.name)
        plan = replace(layout(o.detector, o.readout, o.shape, clocks), slope=knobs.slope)
        made = pink(o.detector, o.readout, plan)
        return replace(made, amplitude_e=made.amplitude_e * np.float32(knobs.amplitude))

    def start(self, key, own: Pink) -> Float[Array, "stream pole"]:
        """Return states drawn from the stationary law."""
        return initial(key, own)

    def draw(self, key, state: Frames, refs, params) -> tuple[Frames, dict]:
        """Add the samples of every frame of the integration / gain; `memory` holds the states."""
        pink = params.own
        if not pink.layout.streams:
            return state, {}
        number = jnp.arange(len(pink.layout.streams))

        def frame(states: Array, index: Array) -> tuple[Array, Array]:
            now = jax.random.fold_in(key, index)
            keys = jax.vmap(lambda i: jax.random.fold_in(now, i))(number)
            states, samples = jax.vmap(frame_of, in_axes=(0, 0, None))(keys, states, pink)
            states = wait(jax.random.fold_in(now, len(number)), states, pink, 2)
            return states, image_of(samples, pink)

        frames = state.dn.shape[0]
        states, images = jax.lax.scan(frame, state.memory["one_over_f"], jnp.arange(frames))
        states = wait(jax.random.fold_in(key, frames), states, pink, 3)
        memory = state.memory | {"one_over_f": states}
        return replace(state, dn=state.dn + params.mirror * images / refs.gain, memory=memory), {}

    def covariance(self, state: Frames, refs, params, i, j):
        """Return sum over the streams a pixel sees and the poles, A^2 v exp(-rate |t_i - t_j|) / gain^2, DN^2."""
        pink = params.own
        # a pixel sees each kind of stream once: one of the independent ones, its own output's
        seen = [n for n, name in enumerate(pink.layout.streams) if name not in pink.layout.streams[:n]]
        power = (pink.amplitude_e[np.array(seen, int)] ** 2).sum()
        span = jnp.abs(i - j) * params.frame_time_s
        return power * (pink.deviation**2 * jnp.exp(-pink.rate_per_s * span)).sum() / refs.gain**2


def _common(detector: Detector, readout: Readout) -> float:
    """Amplitude of the common stream: with one output, common and independent noise are one process."""
    noise = detector.one_over_f
    return noise.common_e if readout.outputs > 1 else float(np.hypot(noise.common_e, noise.independent_e))
