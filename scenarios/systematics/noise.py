"""Gain, read noise, coupling of neighbours and 1/f noise together, from the noise of flats and darks.

Photon transfer takes the variance of single pixels, which coupling lowers and 1/f raises; here the covariance of all
group differences in every cosine mode of the window (modes.py) is compared with what the chain says,

    C_kl = K_kl(alpha) A(gain, law, rate) + B(read noise) + W P_kl(1/f) W^T,

A and B the forward model's covariance of group differences by photons and by reads, W the differences of groups. Where
there is light the mean differences count too, with a law of charge S = Q (1 - sum a_n (Q / W)^n) that all pixels share:
so gain and non-linearity are found jointly. Parameters are shared by the whole window.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix
from jaxtyping import Array, Float

from uptheramp.calibrate.kernels import small_matrix
from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.scenarios.systematics import exposures, forward, modes
from uptheramp.scenarios.systematics.diagnostics import Checked
from uptheramp.scenarios.systematics.exposures import RampSet
from uptheramp.scenarios.systematics.fit_file import NoiseBlock
from uptheramp.scenarios.systematics.linearity import Series
from uptheramp.simulate.detector.one_over_f import poles
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps.render import Constants

UNEVEN = 1e-4  # relative error of the mean differences of a window: its pixels are not alike
ODD = 2.0  # ratio to the median variance beyond which a pixel is left out
BEND = 1e-3  # in units of the errors: over which the curvature is taken
DONORS = 8  # pixels away from which a hit is mended, at most
TOLERANCE, MOST_STEPS = 1e-9, 300


class Pink(eqx.Module):
    """Covariance of the group differences in each mode by the poles of 1/f noise, of unit variance (e-): W P W^T."""

    common: Float[Array, "pole mode n n"]  # of a stream that all outputs share
    independent: Float[Array, "pole mode n n"]  # of the outputs' own streams; zero where the window is one output's
    alternating: Float[Array, "pole mode n n"]

    @classmethod
    def of(cls, o: Observation, rows: slice, columns: slice, first_group: int) -> "Pink":
        """In a window of one output, or of all interleaved ones."""
        r, turned = o.readout, abs(o.readout.fast_axis) == 2
        shape = rows.stop - rows.start, columns.stop - columns.start
        lines, pixels = shape[::-1] if turned else shape
        first = (rows if turned else columns).start
        frame = round(o.subarray.frame_time_s / CLOCK_S)
        line = o.subarray.size[1 if turned else 0] // r.outputs + o.subarray.row_overhead_clocks
        weights = np.diff(forward.weights(r, o.reads_per_integration)[first_group:], axis=0)
        lag = np.abs(np.subtract.outer(np.arange(weights.shape[1]), np.arange(weights.shape[1])))

        def covariance(streams: Float[np.ndarray, "stream pixel sample"]) -> np.ndarray:
            power = modes.pink(lines, streams, line, frame, o.reads_per_integration)
            made = np.einsum("ai,pijlk,bj->plkab", weights, power[:, lag], weights)
            made = made.swapaxes(1, 2) if turned else made
            return made.reshape(len(made), -1, *made.shape[-2:])

        place = np.arange(first, first + pixels)
        sign = np.where(place % 2, -1.0, 1.0)[:, None]
        if not o.interleaved:
            each = np.eye(pixels)[None]
            common = covariance(each)
            return cls(common, 0 * common, covariance(sign * each))
        sample = np.equal.outer(place // r.outputs - first // r.outputs, np.arange(-(-pixels // r.outputs) + 1))
        output = np.equal.outer(np.arange(r.outputs), place % r.outputs)
        return cls(
            covariance(sample[None] * 1.0),
            covariance(output[:, :, None] * sample[None] * 1.0),
            covariance(sign * sample[None]),
        )


class Levels(eqx.Module):
    """The exposures: scatter of their modes over integrations, their mean differences, and the model of both."""

    scatter: Float[Array, "level mode n n"]
    mean_dn: Float[Array, "level n"]
    freedom: Float[Array, "level"]  # integrations less one
    pixels: Float[Array, "level"]  # that the mean is over; 0 in the dark, whose mean tells nothing
    photons: Constants
    reads: Constants
    overlap_x: Float[Array, "k d"]
    overlap_y: Float[Array, "l d"]
    pink: Pink
    shape: tuple[int, int] = eqx.field(static=True)
    lit: tuple[bool, ...] = eqx.field(static=True)
    first_group: int = eqx.field(static=True)


# gain (e-/DN), read_noise_e, alpha_x, alpha_y, pink_e, independent_e, alternating_e, slope, a_n, rate_n (DN/s)
Values = dict[str, Any]
PARTS = {
    "gain": ("gain",),
    "read_noise": ("read_noise_e",),
    "ipc": ("alpha_x", "alpha_y"),
    "one_over_f": ("pink_e", "independent_e", "alternating_e"),
    "one_over_f_slope": ("slope",),
}


class Found(NamedTuple):
    """Values with the errors of the Fisher matrix and of the curvature (Laplace).

    `eigenvalues` are those of the correlation matrix of the Fisher matrix: 0 where parameters cannot be told apart.
    """

    names: tuple[str, ...]
    value: Float[np.ndarray, "parameter"]
    covariance: Float[np.ndarray, "parameter parameter"]
    laplace: Float[np.ndarray, "parameter"]
    eigenvalues: Float[np.ndarray, "parameter"]
    held: dict[str, Checked]  # by how much the ramps would move what was not free, each alone
    converged: bool
    chi_square: list[Float[np.ndarray, "y x"]]  # of each mode, by level
    freedom: Float[np.ndarray, "level"]  # of each mode

    @property
    def error(self) -> Float[np.ndarray, "parameter"]:
        """Fisher errors."""
        return np.sqrt(np.diag(self.covariance))


def table(observation: Observation, coupled: bool) -> Values:
    """Values of the detector's table: where the search begins, and what stays where it is not free.

    Noise of an effect that the exposure lacks is none, and so is the coupling unless the model has it.
    """
    chip, o = observation.detector, observation
    noise, on = chip.one_over_f, float("one_over_f" in o.effects)
    return {
        "gain": chip.gain_e_per_dn,
        "read_noise_e": chip.read_noise_e,
        "alpha_x": chip.ipc_alpha[0] * coupled,
        "alpha_y": chip.ipc_alpha[1] * coupled,
        "pink_e": noise.common_e * on if o.interleaved else float(np.hypot(noise.common_e, noise.independent_e)) * on,
        "independent_e": noise.independent_e * on * o.interleaved,
        "alternating_e": noise.alternating_e * on,
        "slope": 1.0,
    }


def levels_of(sets: Sequence[RampSet], first_group: int, rows: slice, columns: slice, skip: int = 0) -> Levels:
    """Reduce exposures of equally many groups to what the likelihood needs, in a window of lit pixels of one output.

    The first `skip` integrations are left out. What a dark has is taken off the mean differences of the lit ones: the
    residue of the reset.
    """
    o = sets[0].observation
    sets = [replace(s, data=s.data[skip:]) for s in sets]
    scatter, mean, pixels = zip(*(_reduced(s, first_group, rows, columns) for s in sets), strict=True)
    dark = next((m for s, m in zip(sets, mean, strict=True) if s.dark), np.zeros(len(mean[0])))
    shape = rows.stop - rows.start, columns.stop - columns.start
    n = len(mean[0])
    return Levels(
        scatter=np.stack(scatter),
        mean_dn=np.stack([np.zeros(n) if s.dark else m - dark for s, m in zip(sets, mean, strict=True)]),
        freedom=np.array([len(s.data) - 1.0 for s in sets]),
        pixels=np.array([0.0 if s.dark else count for s, count in zip(sets, pixels, strict=True)]),
        photons=forward.nominal(o, ("poisson", "nonlinearity")),
        reads=forward.nominal(o, ("read_noise", "adc")),
        overlap_x=modes.overlaps(shape[1], 2),
        overlap_y=modes.overlaps(shape[0], 2),
        pink=Pink.of(o, rows, columns, first_group),
        shape=shape,
        lit=tuple(not s.dark for s in sets),
        first_group=first_group,
    )


def _reduced(ramps: RampSet, first_group: int, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray, float]:
    """Scatter matrices of the modes, mean differences of the window, and how many pixels those are of."""
    differences = np.diff(ramps.data[:, first_group:, rows, columns].astype(float), axis=1)
    kept = exposures.clean(differences)
    mean = np.where(kept[:, None], differences, 0).sum(0) / np.maximum(kept.sum(0), 1)
    amplitude = modes.transformed(mended(differences - mean, kept))
    sound = kept.mean(0) > 0.5
    scatter = np.einsum("iaml,ibml->mlab", amplitude, amplitude).reshape(-1, *2 * (len(mean),))
    return scatter, np.array([np.mean(m[sound]) for m in mean]), float(sound.sum())


def mended(residual: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Fill pixels with a hit, or of odd noise, with what a neighbour had in the next integration."""
    power = np.mean(np.where(kept[:, None], residual, 0) ** 2, axis=(0, 1)) / np.maximum(kept.mean(0), 0.5)
    odd = np.abs(np.log(np.maximum(power, 1e-30) / np.median(power))) > np.log(ODD)
    bad = ~kept | odd
    out, donor, clear = residual, residual, ~bad
    for _ in range(DONORS):
        donor, clear = np.roll(donor, (1, 1), (0, -1)), np.roll(clear, (1, 1), (0, -1))
        fill = bad & clear
        out = np.where(fill[:, None], donor, out)
        bad = bad & ~fill
        if not bad.any():
            break
    return out


def start(v: Levels, known: Values, terms: int) -> Values:
    """Return the table's values, a linear law, and rates from the first differences."""
    step = float(v.photons.params.frame_time_s) * v.photons.recipe.readout.frames_per_group
    law = {f"a_{n + 1}": 0.0 for n in range(terms)} if any(v.lit) else {}
    return known | law | {f"rate_{n + 1}": v.mean_dn[n, 0] / step for n, lit in enumerate(v.lit) if lit}


def covariances(p: Values, v: Levels) -> tuple[Float[Array, "level mode n n"], Float[Array, "level n"]]:
    """Covariance of the differences in each mode, DN^2, and their mean, DN."""
    gain = p["gain"]
    white = forward.spread(_with(v.reads, gain, p["read_noise_e"]), v.first_group)[:, :, 0, 0]
    pink = _pink(p, v) / gain**2
    if not any(v.lit):
        return (white + pink)[None] + jnp.zeros((len(v.lit), 1, 1, 1)), jnp.zeros(v.mean_dn.shape)
    terms = jnp.stack([p[name] for name in p if name.startswith("a_")])
    law = Series(terms[:, None, None], jnp.asarray(v.photons.maps.well_e, float))
    photons = forward.with_physics(_with(v.photons, gain, 0.0), law)
    rates = jnp.stack([p[f"rate_{n + 1}"] * gain if lit else jnp.zeros(()) for n, lit in enumerate(v.lit)])

    def one(rate: Array) -> tuple[Array, Array]:
        lamp = forward.under(photons, rate.reshape(1, 1))
        return forward.spread(lamp, v.first_group)[:, :, 0, 0], forward.differences(lamp, v.first_group)[:, 0, 0]

    poisson, mean = jax.vmap(one)(rates)
    alpha = jnp.stack([p["alpha_x"], p["alpha_y"]])
    shared = modes.coupling(alpha, v.overlap_x, v.overlap_y).reshape(-1, 1, 1)
    return shared * poisson[:, None] + white + pink, mean


def _pink(p: Values, v: Levels) -> Float[Array, "mode n n"]:
    """Covariance by 1/f noise, e-^2: S(f) = A^2 / f (f / PIVOT_HZ)^(1 - slope)."""
    _, variance = poles(p["slope"])
    streams = (("pink_e", v.pink.common), ("independent_e", v.pink.independent), ("alternating_e", v.pink.alternating))
    parts = (p[name] ** 2 * jnp.einsum("p,pmab->mab", variance, power) for name, power in streams)
    return sum(parts, start=jnp.zeros(()))


def _with(constants: Constants, gain: Any, noise_e: Any) -> Constants:
    maps = constants.maps
    shape = maps.gain.shape
    changed = replace(maps, gain=jnp.broadcast_to(gain, shape), read_noise_e=jnp.broadcast_to(noise_e, shape) * 1.0)
    return replace(constants, maps=changed)


def cost(p: Values, v: Levels) -> Float[Array, ""]:
    """-ln L: of the modes' scatter, and of the mean differences where there is light."""
    c, mean = covariances(p, v)
    of_means = jnp.einsum("lij,lj->li", _mean_half(c, mean, v), v.mean_dn - mean)
    return jnp.sum(jax.vmap(modes.whittle)(v.scatter, v.freedom, small_matrix.whitening(c))) + jnp.sum(of_means**2) / 2


def _mean_half(c: Array, mean: Array, v: Levels) -> Array:
    """Inverse Cholesky factor of the covariance of a window's mean differences; held, it tells nothing by itself."""
    count = jnp.maximum(v.pixels, 1) * (v.freedom + 1)
    held = c[:, 0] / count[:, None, None] + jax.vmap(lambda m: jnp.diag((UNEVEN * m) ** 2))(mean)
    return small_matrix.whitening(jax.lax.stop_gradient(held)) * (v.pixels > 0)[:, None, None]


@eqx.filter_jit
def fisher(p: Values, names: tuple[str, ...], v: Levels) -> tuple[Array, Array]:
    """Expected information, f / 2 tr(C^-1 C_a C^-1 C_b) of the modes and m_a^T C^-1 m_b of the means; their chi-square.

    Chi-square is by level and mode.
    """

    def model(x: Array) -> tuple[Array, Array]:
        return covariances(p | dict(zip(names, x, strict=True)), v)

    at = jnp.stack([p[name] for name in names])
    c, mean = model(at)
    slope, slope_of_mean = jax.jacfwd(model)(at)
    half = small_matrix.whitening(c)
    white = jnp.einsum("xmij,xmjkp,xmlk->xmilp", half, slope, half)
    lean = jnp.einsum("xij,xjp->xip", _mean_half(c, mean, v), slope_of_mean)
    information = jnp.einsum("x,xmilp,xmilq->pq", v.freedom / 2, white, white) + jnp.einsum("xip,xiq->pq", lean, lean)
    return information, jnp.einsum("xmij,xmjk,xmik->xm", half, v.scatter, half)


def fit(v: Levels, known: Values, block: NoiseBlock) -> Found:
    """Search in coordinates in which the Fisher matrix at the start is one; take it, and the curvature, at the end."""
    p0 = {name: jnp.asarray(value, float) for name, value in start(v, known, block.terms).items()}
    of_noise = [name for part in block.free for name in PARTS[part] if float(p0[name]) != 0]
    free = [*of_noise, *(name for name in p0 if name.startswith(("a_", "rate_")))]
    names = (*free, *_held(p0, v, free))
    if block.optimiser == "adam":
        solver = optimistix.OptaxMinimiser(optax.adam(optax.exponential_decay(3.0, 40, 0.5)), 1e-7, 1e-7)
    else:
        solver = optimistix.BFGS(TOLERANCE, TOLERANCE)
    n, origin = len(free), np.array([float(p0[name]) for name in names])
    everything = np.asarray(fisher(p0, names, v)[0])
    step = np.zeros_like(everything)  # x = origin + L^-T z of what is free
    step[:n, :n] = np.linalg.inv(np.linalg.cholesky(everything[:n, :n])).T
    z, converged = _search(p0, names, v, jnp.asarray(step), solver)
    z = np.asarray(z)
    value = origin + step @ z
    # amplitudes enter by their squares: one that is negative is the same noise
    value = np.where([name in PARTS["one_over_f"] for name in names], np.abs(value), value)
    everything, chi_square = fisher(p0 | dict(zip(names, jnp.asarray(value), strict=True)), names, v)
    everything = np.asarray(everything)
    information = everything[:n, :n]
    bend = np.stack(
        [_gradient(p0, names, v, step, z + e) - _gradient(p0, names, v, step, z - e) for e in BEND * np.eye(len(z))[:n]]
    )[:, :n]
    curvature = np.linalg.inv((bend + bend.T) / (4 * BEND))
    # at the same point, but in coordinates that are the parameters themselves
    slope = -np.asarray(
        _gradient(p0 | dict(zip(names, jnp.asarray(value), strict=True)), names, v, np.eye(len(z)), 0 * z)
    )
    unit = np.sqrt(np.diag(information))
    return Found(
        names=tuple(free),
        value=value[:n],
        covariance=np.linalg.inv(information),
        laplace=np.sqrt(np.diag(step[:n, :n] @ curvature @ step[:n, :n].T)),
        eigenvalues=np.linalg.eigvalsh(information / unit / unit[:, None]),
        held=_wanted(names[n:], slope, everything),
        converged=bool(converged),
        chi_square=[np.asarray(c).reshape(v.shape) for c in chi_square],
        freedom=np.asarray(v.freedom) * v.scatter.shape[-1],
    )


def _held(p0: Values, v: Levels, free: list[str]) -> list[str]:
    """Names of what is not free and would tell: coupling and gain by light, 1/f where there is some."""
    telling = ["read_noise_e", *("gain", "alpha_x", "alpha_y") * any(v.lit)]
    telling += [name for name in PARTS["one_over_f"] if float(p0[name]) != 0]
    telling += ["slope"] * any(float(p0[name]) != 0 for name in PARTS["one_over_f"])
    return [name for name in telling if name not in free]


def _wanted(held: tuple[str, ...], slope: np.ndarray, information: np.ndarray) -> dict[str, Checked]:
    """Score test: the step that the slope of ln L asks of each, over what the free parameters leave of its information.

    step = s / V, V = F_hh - F_hf F_ff^-1 F_fh; its error is V^-1/2.
    """
    n = len(slope) - len(held)
    weight = np.linalg.solve(information[:n, :n], information[:n, n:])
    left = np.diag(information[n:, n:] - information[n:, :n] @ weight)
    score = slope[n:] - weight.T @ slope[:n]
    return {name: Checked(s / v, 0.0, s / np.sqrt(v)) for name, s, v in zip(held, score.tolist(), left, strict=True)}


def _at(p0: Values, names: tuple[str, ...], step: Array, z: Array) -> Values:
    return p0 | {name: p0[name] + move for name, move in zip(names, step @ z, strict=True)}


@eqx.filter_jit
def _gradient(p0: Values, names: tuple[str, ...], v: Levels, step: Array, z: Array) -> Array:
    return jax.grad(lambda z: cost(_at(p0, names, step, z), v))(z)


@eqx.filter_jit
def _search(
    p0: Values, names: tuple[str, ...], v: Levels, step: Array, solver: optimistix.AbstractMinimiser
) -> tuple[Array, Array]:
    found = optimistix.minimise(
        lambda z, _: cost(_at(p0, names, step, z), v), solver, jnp.zeros(len(names)), max_steps=MOST_STEPS, throw=False
    )
    return found.value, found.result == optimistix.RESULTS.successful
