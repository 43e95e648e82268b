"""The tones of the interference in MIRI's read-out, fitted to all the numbers of an exposure (`emi_model.py`).

1/f noise is shared by the pixels of a frame: the estimate leaves it out of the weights, and its errors have it,

    cov = F^-1 (s^2 F + V) F^-1,    V_kl = integral of S(f) Re U_k(f) U_l(f)* df,

F the information, U_k the spectrum of what a number contributes to the score of parameter k, S the spectrum of the
noise, s^2 the chi-square by degree of freedom (read noise may differ from the table's).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Emi as Table
from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.scenarios.systematics.emi_model import Normal, Ramps, fundamentals, normal, of_reads
from uptheramp.scenarios.systematics.fit_file import EmiBlock

UNSEEN = 1e-4  # part of the information of a fresh phase in every read below which a tone cannot be told
BLOCKS = 1.2  # ratio of frequencies over which the spectrum of the residuals is taken as even
FEWEST = 64  # frequencies in a block
STEPS, SMALL = 15, 1e-3  # of the search, and in units of the errors
BEND = 1e-2  # of an error, over which the curvature is taken


class Found(NamedTuple):
    """Tones with their errors; `value` holds amplitudes (DN), phases at the start (turns), then x (ppm).

    Not seen are tones that repeat with every read or integration: they keep the table's value, with an infinite error.
    """

    names: tuple[str, ...]
    value: Float[np.ndarray, "parameter"]
    covariance: Float[np.ndarray, "parameter parameter"]
    fisher: Float[np.ndarray, "parameter"]  # errors if noise were that of the table and 1/f none
    laplace: Float[np.ndarray, "parameter"]
    seen: Bool[np.ndarray, "tone"]
    eigenvalues: Float[np.ndarray, "seen"]
    converged: bool
    chi_square: float
    freedom: float
    steps: Float[np.ndarray, "integration part"]  # of one integration: relative amplitude, turns, by fundamental
    step_errors: Float[np.ndarray, "integration part"]
    before: tuple[np.ndarray, np.ndarray]  # frequency (Hz), power of the residuals over their even part, without tones
    after: tuple[np.ndarray, np.ndarray]

    @property
    def error(self) -> Float[np.ndarray, "parameter"]:
        """Errors with 1/f noise and the noise that is there."""
        return np.sqrt(np.diag(self.covariance))


def spectrum(numbers: Float[np.ndarray, "integration group y x"], v: Ramps) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (Hz) and the sum of numbers times exp(-2 pi i f t) over the whole exposure."""
    frame, cadence = (round(float(s) / CLOCK_S) for s in (v.sensor.params.frame_time_s, v.sensor.params.cadence_s))
    clocks = np.rint(np.asarray(v.offset_s) / CLOCK_S).astype(int)
    group = v.first_group + np.arange(numbers.shape[1])
    start = np.arange(len(numbers))[:, None] * cadence + group * frame
    series = np.bincount((start[:, :, None, None] + clocks).ravel(), np.asarray(numbers).ravel())
    size = 1 << (2 * len(series) - 1).bit_length()  # padded: a line lies near one of the frequencies
    return np.fft.rfftfreq(size, CLOCK_S), np.fft.rfft(series, size)


def shared_noise(
    x: np.ndarray, directions: Float[np.ndarray, "n parameter"], v: Ramps, pink_dn: float
) -> Float[np.ndarray, "n n"]:
    """V: covariance of the scores by noise of spectrum `pink_dn`^2 / f that all outputs share."""
    scaled, step = [], 0.0
    for direction in directions:
        f, u = spectrum(np.asarray(of_reads(x, direction, np.zeros(()), v)), v)
        scaled.append((u[1:] / np.sqrt(f[1:])).astype(np.complex64))
        step = f[1]
    return np.array([[pink_dn**2 * step * np.vdot(b, a).real for b in scaled] for a in scaled])


def evened(f: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power over the mean of noise in blocks of frequency, so that noise has the law exp(-power).

    From the highest tenth of a block: pixels' own means take the multiples of the rates of reads and integrations away.
    """
    power, low = np.abs(u[1:]) ** 2, 0
    while low < len(power):
        high = min(max(int(low * BLOCKS), low + FEWEST), len(power))
        power[low:high] /= np.quantile(power[low:high], 0.9) / np.log(10)
        low = high
    return f[1:], power


def start(v: Ramps, table: Table, search_hz: float) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Where the search begins, which tones are seen, and the spectrum of the data.

    Of the table it takes the frequencies: the highest line near each fundamental, then sines and cosines to it.
    """
    n, bases = len(v.fundamental), max(v.fundamental) + 1
    silent = np.zeros(2 * n + bases)
    f, u = spectrum(np.asarray(of_reads(silent, 0 * silent, np.ones(()), v)), v)
    ppm = np.zeros(bases)
    for number in range(bases if search_hz else 0):
        base = table.frequency_hz[v.fundamental.index(number)]
        near = np.flatnonzero(np.abs(f - base) <= max(search_hz, f[1]))
        ppm[number] = 1e6 * (f[near[np.argmax(np.abs(u[near]))]] / base - 1)
    # at the table's frequencies: what stands still there would tell by an error of the frequency alone
    seen = np.diag(_waves(v, np.zeros(bases))[0]).reshape(2, n).min(0) > UNSEEN * _fresh(v)
    information, score = _waves(v, ppm)
    told = np.tile(seen, 2)
    wave = np.zeros(2 * n)
    wave[told] = np.linalg.solve(information[told][:, told], score[told])
    amplitude, turns = np.hypot(wave[:n], wave[n:]), np.arctan2(wave[n:], wave[:n]) / (2 * np.pi)
    # what is not seen keeps the table's shape: its phase goes with the fundamental's
    harmonic, base = _harmonics(v, table)
    moved = harmonic * (turns - np.asarray(table.phase_turns))[base] + np.asarray(table.phase_turns)
    x = np.concatenate([np.where(seen, amplitude, table.amplitude_dn), np.where(seen, turns, moved) % 1, ppm])
    return x, seen, evened(f, u)


def _waves(v: Ramps, ppm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Information on, and score of, the sines and then the cosines of all tones at given frequencies."""
    n = len(v.fundamental)
    # at amplitude 1 and phase 0 the slopes are the sines and 2 pi times the cosines
    d = normal(np.concatenate([np.ones(n), np.zeros(n), ppm]), np.concatenate([np.zeros(2 * n), ppm]), v)
    unit = np.repeat([1.0, 1 / (2 * np.pi)], n)
    return d.total[: 2 * n, : 2 * n] * unit[:, None] * unit, d.slope[: 2 * n] * unit


def _harmonics(v: Ramps, table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Order of each tone, and the number of the tone that is its fundamental."""
    base = np.array([v.fundamental.index(number) for number in v.fundamental])
    frequency = np.asarray(table.frequency_hz)
    return np.rint(frequency / frequency[base]), base


def _fresh(v: Ramps) -> float:
    """Information on a tone of unit amplitude whose phase is another in every read."""
    back = np.diff(np.asarray(v.half), axis=-1, prepend=0, append=0)
    return float((np.asarray(v.kept.sum(0))[..., None, None] * back**2).sum() / 2)


def fit(v: Ramps, table: Table, block: EmiBlock, pink_dn: float) -> Found:
    """Search from the start; errors, and what single integrations say, at the end.

    Raises
    ------
    InputError
        If no tone is seen.
    """
    n, bases = len(v.fundamental), max(v.fundamental) + 1
    x, seen, before = start(v, table, block.search_hz)
    if not seen.any():
        raise InputError("every tone repeats with the integrations; another number of groups would tell")
    heard = np.array([seen[np.equal(v.fundamental, number)].any() for number in range(bases)])
    free = np.flatnonzero(np.concatenate([seen, seen, heard & (block.search_hz > 0)]))
    x, d, converged = _search(x, free, v)
    unit, information = np.eye(len(x)), d.total[np.ix_(free, free)]
    count = np.asarray(v.kept.sum(0))
    chi_square, freedom = float(d.chi_square), float(np.maximum(count - 1, 0).sum() * v.data.shape[1] - len(free))
    noise = chi_square / freedom * information + shared_noise(x, unit[free], v, pink_dn)
    inverse = np.linalg.inv(information)
    covariance, laplace = np.diag(np.full(len(x), np.inf)), np.full(len(x), np.inf)
    covariance[np.ix_(free, free)] = inverse @ noise @ inverse
    laplace[free] = _laplace(x, free, d, v)
    # one integration by itself: all tones of a fundamental stronger, or later, together
    harmonic, _ = _harmonics(v, table)
    member = np.equal.outer(v.fundamental, np.arange(bases))[:, heard] * seen[:, None]
    parts = np.zeros((len(x), 2 * heard.sum()))
    parts[:n, : heard.sum()] = member * x[:n, None]
    parts[n : 2 * n, heard.sum() :] = member * harmonic[:, None]
    alone = 1 - 1 / len(v.data)  # its own share of the mean
    each = np.einsum("pm,ipq,qm->im", parts, np.asarray(d.information), parts) * alone
    excess = np.diag(parts[free].T @ noise @ parts[free]) / np.diag(parts[free].T @ information @ parts[free])
    scale = np.sqrt(np.diag(information))
    bare = np.full(len(x), np.inf)
    bare[free] = np.sqrt(np.diag(inverse))
    return Found(
        names=tuple(_names(v, table)),
        value=x,
        covariance=covariance,
        fisher=bare,
        laplace=laplace,
        seen=seen,
        eigenvalues=np.linalg.eigvalsh(information / scale / scale[:, None]),
        converged=converged,
        chi_square=chi_square,
        freedom=freedom,
        steps=np.asarray(d.score) @ parts / each,
        step_errors=np.sqrt(excess / each),
        before=before,
        after=evened(*spectrum(np.asarray(of_reads(x, 0 * x, np.ones(()), v)), v)),
    )


def _search(x: np.ndarray, free: np.ndarray, v: Ramps) -> tuple[np.ndarray, Normal, bool]:
    """Gauss-Newton steps until they are a small part of the errors."""
    for _ in range(STEPS):
        d = normal(x, x, v)
        factor = np.linalg.cholesky(d.total[np.ix_(free, free)])
        step = np.linalg.solve(factor, d.slope[free])  # in units of the errors
        if np.abs(step).max() < SMALL:
            return x, d, True
        x = x.copy()
        x[free] += np.linalg.solve(factor.T, step)
        x = upright(x, len(v.fundamental))
    return x, normal(x, x, v), False


def upright(x: np.ndarray, tones: int) -> np.ndarray:
    """The same tones with positive amplitudes: a sine turned over is one half a turn later."""
    amplitude, phase, rest = np.split(x, [tones, 2 * tones])
    return np.concatenate([np.abs(amplitude), phase + 0.5 * (amplitude < 0), rest])


def _laplace(x: np.ndarray, free: np.ndarray, d: Normal, v: Ramps) -> np.ndarray:
    """Errors of the curvature: how the slope of ln L changes over a small part of an error."""
    scale = 1 / np.sqrt(np.diag(d.total)[free])
    bend = []
    for index, size in zip(free, scale, strict=True):
        moved = x.copy()
        moved[index] += BEND * size
        bend.append((d.slope - normal(moved, moved, v).slope)[free] * scale / BEND)
    curvature = np.stack(bend)
    return scale * np.sqrt(np.diag(np.linalg.inv((curvature + curvature.T) / 2)))


def _names(v: Ramps, table: Table) -> Iterator[str]:
    for what in ("amplitude_dn", "phase_turns"):
        yield from (f"{what}_{f:g}Hz" for f in table.frequency_hz)
    yield from (f"ppm_{table.frequency_hz[v.fundamental.index(n)]:g}Hz" for n in range(max(v.fundamental) + 1))


def fitted_table(found: Found, table: Table) -> Table:
    """Return the tones as the detector's table would hold them; phases are those at the start of the exposure."""
    n = len(table.frequency_hz)
    faster = 1 + 1e-6 * found.value[2 * n :][np.array(fundamentals(table.frequency_hz))]
    return replace(
        table,
        source=f"fitted; {table.source}",
        frequency_hz=tuple(np.asarray(table.frequency_hz) * faster),
        amplitude_dn=tuple(found.value[:n]),
        phase_turns=tuple(found.value[n : 2 * n] % 1),
    )
