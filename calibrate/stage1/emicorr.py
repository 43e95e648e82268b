"""Take MIRI's electromagnetic interference out of the ramps."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.interpolate import make_interp_spline

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels import order, planes
from uptheramp.calibrate.references.emicorr import OUTPUTS, Emicorr, Wave
from uptheramp.calibrate.stage1 import emicorr_sequential
from uptheramp.calibrate.stage1.emicorr_sequential import EmiLookup
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import step

FEWEST_GROUPS = 3
ALGORITHMS = ("joint", "sequential")
TRIALS = 500  # phases at which the fit is tried
TRIALS_AT_ONCE = 10  # so that residuals are read once for so many
STEADY = 2.0  # pixels whose scatter is below so many medians take part
BAD_REFERENCE = (1, 2)  # columns (of each output) that do not


class EmiFit(eqx.Module):
    """Phase (of the first pixel of the exposure) and amplitude of each wave, for all integrations or for each."""

    phase: Float[Array, "wave #integration"]
    amplitude: Float[Array, "wave #integration"]


class EmicorrRefs(eqx.Module):
    """What emicorr takes from the library; the fit is learned on a sample of the exposure."""

    emicorr: Emicorr | None
    emi_fit: EmiFit | EmiLookup | None


class EmicorrParams(eqx.Module):
    """Which of the official algorithms, and its parameters.

    "joint": wave and ramps are fitted together; `fit_ints_separately`: each integration for itself, instead of one
    phase and amplitude for the exposure. "sequential": see `emicorr_sequential.fitted`; of its parameters 0 stands for
    the official None.
    """

    algorithm: str = eqx.field(static=True, default="joint")
    fit_ints_separately: bool = eqx.field(static=True, default=False)
    nints_to_phase: int = eqx.field(static=True, default=0)
    use_n_cycles: int = eqx.field(static=True, default=3)
    nbins: int = eqx.field(static=True, default=0)
    scale_reference: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        if self.algorithm not in ALGORITHMS:
            raise InputError(f"emicorr.algorithm={self.algorithm}: give one of {', '.join(ALGORITHMS)}")


def learn_emi(sample: Ramps, refs: EmicorrRefs, params: EmicorrParams) -> EmiFit | EmiLookup | None:
    """Fit the waves to a sample of the exposure."""
    if not _applies(sample, refs):
        return None
    assert refs.emicorr is not None
    if params.algorithm == "sequential":
        p = params
        counts = p.nints_to_phase, p.use_n_cycles, p.nbins
        return emicorr_sequential.fitted(sample, refs.emicorr, *counts, scaled=p.scale_reference)
    return None if params.fit_ints_separately else _correct(sample, refs.emicorr, None, together=True)[1]


@step(cite="Brandt, and Bergeron, in jwst 3.0.0 emicorr", learned="emi_fit", learn=learn_emi)
def emicorr(state: Ramps, refs: EmicorrRefs, params: EmicorrParams) -> tuple[Ramps, None]:
    """Subtract each wave at the phase and amplitude that leave the ramps of steady pixels straightest.

    Straight is what has the least chi-square about a line; phases are tried in steps, the best one refined by a
    parabola. Ramps of less than three groups stay as they are. So "joint"; "sequential" looks for the wave itself.
    """
    if not _applies(state, refs):
        return state, None
    assert refs.emicorr is not None
    if isinstance(refs.emi_fit, EmiLookup):
        data = emicorr_sequential.corrected(state, refs.emicorr, refs.emi_fit)
    else:
        data, _ = _correct(state, refs.emicorr, refs.emi_fit, together=not params.fit_ints_separately)
    return eqx.tree_at(lambda s: s.data, state, data), None


def _applies(state: Ramps, refs: EmicorrRefs) -> bool:
    return refs.emicorr is not None and len(refs.emicorr.waves) > 0 and state.readout.ngroups >= FEWEST_GROUPS


def _correct(
    state: Ramps, reference: Emicorr, known: EmiFit | None, together: bool
) -> tuple[Float[Array, "integration group y x"], EmiFit]:
    """Corrected data and the fits, wave after wave on what the one before has left."""
    data = state.data
    phases, amplitudes = [], []
    for number, wave in enumerate(reference.waves):
        clock = _Clock(state, reference, wave)
        if known is None:
            phase, amplitude = jax.lax.stop_gradient(_fit(data, state.pixeldq == 0, clock, together))
        else:
            phase, amplitude = known.phase[number], known.amplitude[number]
        phases.append(phase)
        amplitudes.append(amplitude)
        each = (data, *(jnp.broadcast_to(x, len(data)) for x in (phase, amplitude)), state.integration)
        data = jax.lax.map(lambda x, clock=clock: x[0] - clock.signal(*x[1:]).astype(x[0].dtype), each)
    return data, EmiFit(jnp.stack(phases), jnp.stack(amplitudes))


class _Clock:
    """When pixels, groups and integrations are read, in periods of one wave, and the wave itself."""

    def __init__(self, state: Ramps, reference: Emicorr, wave: Wave):
        ny, nx = state.data.shape[-2:]
        ngroups = state.readout.ngroups
        rows = np.arange(ny)[:, None] * reference.row_clocks
        clocks = rows + np.arange(nx // OUTPUTS) * reference.samples
        frame = reference.frame_clocks(ny)
        self.pixel = (clocks / wave.period_clocks) % 1
        self.group = (frame / wave.period_clocks) % 1 * np.arange(ngroups)
        self.integration = (frame / wave.period_clocks) % 1 * ngroups + reference.reset_clocks / wave.period_clocks
        self.number = state.integration
        self.bins = len(wave.waveform)
        self.pieces = jnp.tensordot(_spline_pieces(self.bins), jnp.asarray(wave.waveform), 1)

    def wave(self, phase: Float[Array, "..."]) -> Float[Array, "..."]:
        """The waveform at a phase (any real number), by its cubic spline."""
        place = (phase % 1) * self.bins + 0.5
        piece = jnp.clip(jnp.floor(place).astype(int), 0, self.bins)
        within = place - piece
        c = self.pieces[:, piece]
        return ((c[3] * within + c[2]) * within + c[1]) * within + c[0]

    def signal(
        self, phase: Float[Array, ""], amplitude: Float[Array, ""], number: Int[Array, ""]
    ) -> Float[Array, "group y x"]:
        """The interference in every pixel of one integration."""
        start = phase + number * self.integration
        emi = amplitude * self.wave(self.pixel + self.group[:, None, None] + start)
        return jnp.repeat(emi, OUTPUTS, axis=-1)


def _spline_pieces(bins: int) -> Float[np.ndarray, "power piece bin"]:
    """Coefficients of the cubic pieces of a not-a-knot spline through bin centres, one wrapped on at each end."""
    wrapped = np.concatenate([np.eye(bins)[-1:], np.eye(bins), np.eye(bins)[:1]])
    spline = make_interp_spline(np.arange(bins + 2), wrapped, k=3)
    middle = np.arange(bins + 1) + 0.5
    value, slope, bend, twist = (spline(middle, order) for order in range(4))
    # about the middle of each piece; moved to its start
    return np.stack(
        [
            value - slope / 2 + bend / 8 - twist / 48,
            slope - bend / 2 + twist / 8,
            bend / 2 - twist / 4,
            twist / 6,
        ]
    )


def _fit(
    data: Float[Array, "integration group y x"], good: Bool[Array, "y x"], clock: _Clock, together: bool
) -> tuple[Float[Array, "#integration"], Float[Array, "#integration"]]:
    """Phase at the start of the exposure and amplitude, for all integrations or for each."""
    values, number = _binned(data, good, clock)
    quadratic, linear = _expansion(values, number, clock)  # chi^2 = quadratic c^2 + linear c at each trial phase
    offset = clock.number * clock.integration

    def summed(phase: Float[Array, "n"]) -> tuple[Float[Array, "n #integration"], Float[Array, "n #integration"]]:
        place = jnp.ceil(((phase[:, None] + offset) % 1) * TRIALS - 1e-9).astype(int) % TRIALS
        each = tuple(jnp.take_along_axis(x, place, 0) for x in (quadratic, linear))
        return tuple(x.sum(1, keepdims=True) for x in each) if together else each  # pyright: ignore[reportReturnType]

    trials = jnp.arange(TRIALS) / TRIALS
    a, b = summed(trials)
    chi_square = jnp.where(a > 0, -(b**2) / (4 * jnp.where(a > 0, a, 1)), jnp.inf)
    best = jnp.argmin(chi_square, axis=0)
    before, at, after = (jnp.take_along_axis(chi_square, (best + k)[None] % TRIALS, 0)[0] for k in (-1, 0, 1))
    bend = after - 2 * at + before
    curved = jnp.isfinite(bend) & (bend > 0)
    phase = (best - jnp.where(curved, (after - before) / (2 * jnp.where(curved, bend, 1)), 0)) / TRIALS
    # the amplitude belongs to the refined phase of each integration
    a, b = (x[0] if together else jnp.diagonal(x) for x in summed(phase))
    return phase, jnp.where(a > 0, -b / (2 * jnp.where(a > 0, a, 1)), 0)


def _binned(
    data: Float[Array, "integration group y x"], good: Bool[Array, "y x"], clock: _Clock
) -> tuple[Float[Array, "integration bin group"], Float[Array, "integration bin"]]:
    """Sums over steady pixels that share a phase, and how many there are; one integration at a time."""
    scatter = jax.lax.map(_scatter, data)
    typical = order.median(scatter.reshape(-1), jnp.ones(scatter.size, bool))
    steady = (scatter < STEADY * typical) & good
    ngroups, ny, nx = data.shape[1:]
    column = np.arange(nx // OUTPUTS)
    steady = steady.reshape(-1, ny, nx // OUTPUTS, OUTPUTS) & ~np.isin(column, BAD_REFERENCE)[:, None]
    place = (clock.pixel * clock.bins).astype(int).reshape(-1)

    def binned(x: tuple[Array, Array]) -> tuple[Float[Array, "bin group"], Float[Array, "bin"]]:
        ramps, used = x
        parts = ramps.reshape(ngroups, ny, nx // OUTPUTS, OUTPUTS)
        values = jnp.where(used, parts, 0).sum(-1, dtype=jnp.float64).reshape(ngroups, -1)
        sums = jnp.zeros((clock.bins, ngroups)).at[place].add(values.T)
        return sums, jnp.zeros(clock.bins).at[place].add(used.sum(-1).reshape(-1))

    return jax.lax.map(binned, (data, steady))


def _scatter(ramps: Float[Array, "group y x"]) -> Float[Array, "y x"]:
    """Standard deviation of each pixel over the groups."""
    nothing = jnp.zeros_like(ramps[0])
    mean = planes.fold(jnp.add, nothing, ramps) / len(ramps)
    return jnp.sqrt(planes.fold(lambda s, plane: s + (plane - mean) ** 2, nothing, ramps) / len(ramps))


def _expansion(
    values: Float[Array, "integration bin group"], number: Float[Array, "integration bin"], clock: _Clock
) -> tuple[Float[Array, "trial integration"], Float[Array, "trial integration"]]:
    """Chi-square of straight lines plus c times the wave, less that of the lines: its terms in c^2 and c."""
    time = jnp.arange(values.shape[-1], dtype=values.dtype)
    lines = jnp.stack([jnp.ones_like(time), time - time.mean()])
    lines = lines / jnp.linalg.norm(lines, axis=-1, keepdims=True)
    # residuals from the straight line through the sums; orthogonal to lines, so that the wave may keep its own
    bent = values - (values @ lines.T) @ lines
    centres = (jnp.arange(clock.bins) + 0.5) / clock.bins

    def trial(shift: Float[Array, ""]):
        wave = clock.wave(centres[:, None] + clock.group + shift)
        bends = (wave**2).sum(-1) - ((wave @ lines.T) ** 2).sum(-1)
        return number @ bends, -2 * jnp.einsum("ibg,bg->i", bent, wave)

    return jax.lax.map(trial, jnp.arange(TRIALS) / TRIALS, batch_size=TRIALS_AT_ONCE)
