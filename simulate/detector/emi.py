"""Electromagnetic interference of MIRI: tones on every number read, whose phase runs on in absolute time.

    DN(t) = sum_k a_k sin 2 pi (f_k (t + delay) + phi_k),    t = integration * cadence + frame * frame time + offset

The offset of a pixel into the frame is a map, so each tone is the product of a few cosines and sines by frame and by
pixel. A constant level would belong to the bias; a delay shifts the waveform in time and leaves its shape alone.
"""

from dataclasses import dataclass, replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.instruments.core import Emi as Table
from uptheramp.calibrate.kernels.readout import read_offset_s
from uptheramp.simulate.effect import Effect
from uptheramp.simulate.state import Frames


@dataclass(frozen=True)
class EmiSettings:
    """Factor on the table's amplitudes, and the time by which the waveform is ahead at the start of the exposure.

    `frequency_ppm`: by how many parts in a million all tones are faster than the table says.
    """

    amplitude: float = 1.0
    delay_s: float = 0.0
    frequency_ppm: float = 0.0

    def __post_init__(self):
        if self.amplitude < 0:
            raise ValueError("amplitude must not be negative")


class Tones(eqx.Module):
    """The tones, and cosine and sine of the turns each makes between the start of a frame and a pixel's reading."""

    frequency_hz: Float[Array, "tone"]  # float64: the turns of a whole exposure are counted
    phase_turns: Float[Array, "tone"]
    amplitude_dn: Float[Array, "tone"]
    pixel: Float[Array, "part tone y x"]


def parts(frequency_hz: Float[Array, "tone"], offset_s: Float[Array, "y x"], xp=np) -> Float[Array, "part tone y x"]:
    """Cosine and sine of the turns of each tone from the start of a frame to the reading of a pixel."""
    turns = 2 * np.pi * frequency_hz[:, None, None] * offset_s
    return xp.stack([xp.cos(turns), xp.sin(turns)])


def offsets_s(observation) -> Float[np.ndarray, "y x"]:
    """Seconds from the start of a frame to the reading of each pixel."""
    o, r, s = observation, observation.readout, observation.subarray
    axes = r.fast_axis, r.slow_axis, r.outputs
    return read_offset_s(o.shape, *axes, s.row_overhead_clocks, s.frame_time_s, o.interleaved)


def waveforms(table: Table, bins: int) -> dict[float, Float[np.ndarray, "bin"]]:
    """Fundamental frequency (Hz) -> the wave with its harmonics, DN, in the middle of equal bins of phase."""
    waves, phase = {}, (np.arange(bins) + 0.5) / bins
    for frequency, amplitude, turns in zip(table.frequency_hz, table.amplitude_dn, table.phase_turns, strict=True):
        fundamental = next((f for f in waves if np.isclose(frequency / f, round(frequency / f))), frequency)
        wave = amplitude * np.sin(2 * np.pi * (round(frequency / fundamental) * phase + turns))
        waves[fundamental] = waves.get(fundamental, 0.0) + wave
    return waves


class Emi(Effect):
    """Coherent tones in all pixels, reference pixels too."""

    name = "emi"
    settings = EmiSettings

    def constants(self, observation, maps, rng) -> Tones:
        """Return the table's tones, delayed, and their turns by pixel."""
        knobs, table = observation.settings_of(self.name), self.table(observation.detector)
        frequency = np.asarray(table.frequency_hz) * (1 + 1e-6 * knobs.frequency_ppm)
        return Tones(
            frequency,
            (np.asarray(table.phase_turns) + frequency * knobs.delay_s) % 1,
            np.asarray(table.amplitude_dn, np.float32) * np.float32(knobs.amplitude),
            parts(frequency, offsets_s(observation)).astype(np.float32),
        )

    def mean(self, state: Frames, refs, params) -> Frames:
        """Add the tones, DN."""
        own, frame = params.own, jnp.arange(state.dn.shape[0])
        start_s = state.integration * params.cadence_s + frame * params.frame_time_s
        turns = 2 * jnp.pi * ((own.frequency_hz * start_s[:, None] + own.phase_turns) % 1)
        # sin(a + b) = sin a cos b + cos a sin b, a by frame and b by pixel
        part = jnp.stack([jnp.sin(turns), jnp.cos(turns)], axis=1).astype(state.dn.dtype) * own.amplitude_dn
        return replace(state, dn=state.dn + jnp.einsum("fpt,ptyx->fyx", part, own.pixel))
