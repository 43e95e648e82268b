"""The other official fit of MIRI's interference: the wave that the ramps show, and how the reference lies to it.

All numbers of some integrations, less a straight line and the median of each pixel, are averaged by their phase in a
wave; where the reference's waveform correlates best with that is its shift, the slope of one over the other its scale.
Source: E. Bergeron's fix_miri_emi; jwst 3.0.0 emicorr, algorithm "sequential".
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy.stats import sigma_clipped_stats
from jaxtyping import Array, Float, Int, Shaped

from uptheramp.calibrate import host
from uptheramp.calibrate.references.emicorr import OUTPUTS, Emicorr, Wave
from uptheramp.calibrate.state import Ramps

DETECTOR_READS = 258  # of a whole line by an output
LAST_READ_CLOCKS = 3 + 2**32  # by which the official step moves the last read of a whole line
MOST_BINS = 500  # where more than one more are asked for
BAD_REFERENCE = {1: (0, 3), 2: (0, 3)}  # columns of an output, and those whose mean stands for them


class EmiLookup(eqx.Module):
    """Elements by which each reference waveform is rolled, and its scale (DN)."""

    shift: Int[Array, "wave"]
    scale: Float[Array, "wave"]


def fitted(state: Ramps, reference: Emicorr, nints: int, cycles: int, nbins: int, scaled: bool) -> EmiLookup:
    """Fit wave after wave, each on what the one before has left.

    The first `nints` integrations tell; with 0 as many as hold `cycles` periods of the first wave, with 0 all. `nbins`
    of 0 stands for half a period's clocks, 500 at most.
    """
    data, shifts, scales = jax.lax.stop_gradient(state.data), [], []
    clocks = _clocks(state, reference)
    results = jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct((), jnp.float64)
    for wave in reference.waves:

        def fit(*given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            values, at, waveform, period, first_period = (np.asarray(x) for x in given)
            count = nints or (_integrations(state, reference, cycles * float(first_period)) if cycles else len(values))
            shift, scale = _fit(values[:count], at[:count], waveform, float(period), nbins)
            return np.asarray(shift, np.int32), np.asarray(scale if scaled else 1.0)

        first = jnp.asarray(reference.waves[0].period_clocks)
        shift, scale = host.call(fit, results, data, clocks, jnp.asarray(wave.waveform), wave.period_clocks, first)
        shifts.append(shift)
        scales.append(scale)
        data = _without(data, clocks, wave, shift, scale)
    return EmiLookup(jnp.stack(shifts), jnp.stack(scales))


def corrected(state: Ramps, reference: Emicorr, known: EmiLookup) -> Float[Array, "integration group y x"]:
    """The data less every wave, looked up at the clock of each read."""
    data, clocks = state.data, _clocks(state, reference)
    for number, wave in enumerate(reference.waves):
        data = _without(data, clocks, wave, known.shift[number], known.scale[number])
    return data


def _integrations(state: Ramps, reference: Emicorr, clocks: float) -> int:
    """How many integrations last so long, the next whole number."""
    return int(np.ceil(clocks / (reference.frame_clocks(state.data.shape[-2]) * state.readout.ngroups)))


def _clocks(state: Ramps, reference: Emicorr) -> Float[Array, "integration group y read"]:
    """Clock of each read since the first one of the exposure."""
    ngroups, rows, columns = state.data.shape[1:]
    frame, reads = reference.frame_clocks(rows), columns // OUTPUTS
    across = np.arange(reads, dtype=float) * reference.samples
    across[-1] += LAST_READ_CLOCKS if reads == DETECTOR_READS else 0
    of_frame = np.arange(rows)[:, None] * reference.row_clocks + across
    of_integration = frame * np.arange(ngroups)[:, None, None] + of_frame
    length = frame * ngroups + reference.reset_clocks
    return jnp.asarray(state.integration)[:, None, None, None] * length + of_integration


def _without(
    data: Float[Array, "integration group y x"],
    clocks: Float[Array, "integration group y read"],
    wave: Wave,
    shift: Int[Array, ""],
    scale: Float[Array, ""],
) -> Float[Array, "integration group y x"]:
    """Subtract the rolled and scaled waveform; it is looked up by whole clocks, which the four outputs share."""
    waveform, period = jnp.roll(jnp.asarray(wave.waveform), shift) * scale, wave.period_clocks

    def integration(of: tuple[Array, Array]) -> Float[Array, "group y x"]:
        clock = jnp.floor((of[1] / period % 1) * period)
        place = jnp.floor(clock * (len(waveform) / period)).astype(int)
        return of[0] - jnp.repeat(waveform[place], OUTPUTS, axis=-1).astype(of[0].dtype)

    return jax.lax.map(integration, (data, clocks))


def _fit(
    data: Float[np.ndarray, "integration group y x"],
    clocks: Float[np.ndarray, "integration group y read"],
    waveform: Float[np.ndarray, "phase"],
    period: float,
    nbins: int,
) -> tuple[int, float]:
    """Shift and scale of the reference to the wave that the numbers show."""
    asked = nbins or int(period / 2)
    bins = asked if asked <= MOST_BINS + 1 else MOST_BINS
    shown = _by_phase(_flattened(data), clocks / period % 1, bins)
    shown = shown - np.median(shown)
    there = _resampled(shown, len(waveform))[: len(waveform)]  # rounding may give one more
    with np.errstate(invalid="ignore"):
        match = [np.corrcoef(np.roll(waveform, k), there)[0, 1] for k in range(len(waveform))]
    shift = int(np.argmax(match))
    rolled = _resampled(np.roll(waveform, shift), period)
    return shift, float(np.polyfit(rolled, _resampled(shown, period), 1)[0])


def _flattened(data: Float[np.ndarray, "integration group y x"]) -> Float[np.ndarray, "integration group y read"]:
    """Mean of the four outputs, less the line and the median of each pixel and the median of each frame."""
    group = np.arange(data.shape[1])
    inner = data[:, 1:-1].astype(np.float64)
    time = np.arange(inner.shape[1]) - (inner.shape[1] - 1) / 2
    slope = np.einsum("igyx,g->iyx", inner, time) / (time**2).sum()
    flat = (data - slope[:, None] * group[:, None, None]).astype(data.dtype)
    middle = np.nanmin if inner.shape[1] <= 2 else np.nanmedian
    flat = flat - middle(flat[:, 1:-1], axis=1, keepdims=True)
    reads = flat.reshape(*flat.shape[:-1], -1, OUTPUTS).mean(-1)
    for column, (one, other) in BAD_REFERENCE.items():
        reads[..., column] = (reads[..., one] + reads[..., other]) / 2
    return reads - np.median(reads, axis=(-2, -1), keepdims=True)


def _by_phase(
    values: Shaped[np.ndarray, "..."], phase: Float[np.ndarray, "..."], bins: int
) -> Float[np.ndarray, "bin"]:
    """Clipped mean of the values in each of so many bins of phase, open below."""
    place = np.searchsorted(np.arange(bins + 1) / bins, phase.ravel(), side="left") - 1
    order = np.argsort(place, kind="stable")
    edges = np.searchsorted(place[order], np.arange(bins + 1))
    sorted_values = values.ravel()[order].astype(float)
    return np.array(
        [sigma_clipped_stats(sorted_values[a:b])[0] for a, b in zip(edges[:-1], edges[1:], strict=True)], float
    )


def _resampled(wave: Float[np.ndarray, "old"], count: float) -> Float[np.ndarray, "new"]:
    """As many elements as asked for, each the old one at or before its place."""
    step = len(wave) / count
    return wave[(np.arange(int(np.ceil(len(wave) / step))) * step).astype(int)]
