"""The noise family from ramps to reference files: prepare, fit, judge, picture."""

from collections.abc import Callable, Sequence

import numpy as np

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.ipc import Ipc
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.scenarios.systematics import noise
from uptheramp.scenarios.systematics.diagnostics import Checked
from uptheramp.scenarios.systematics.exposures import RampSet
from uptheramp.scenarios.systematics.fit_file import FitFile
from uptheramp.scenarios.systematics.outcome import SUSPICIOUS, Outcome
from uptheramp.simulate.detector.maps import reference_pixels
from uptheramp.simulate.detector.one_over_f import PIVOT_HZ
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps.references import inverse_kernel
from uptheramp.validate.figures.mode_power import mode_power
from uptheramp.validate.report_figures import Picture, png_uri

LARGEST = 96  # pixels of the window along an axis: its modes grow with its area
BANDS = 6  # of spatial frequency, in which chi-square is looked at


def run(file: FitFile, sets: Sequence[RampSet], progress: Callable[[int, int], None]) -> Outcome:
    """Fit shared parameters to a window of the exposures.

    Raises
    ------
    InputError
        If gain or coupling is asked for without light, or groups are too few.
    """
    o, free = sets[0].observation, file.noise.free
    if {"gain", "ipc"} & set(free) and all(s.dark for s in sets):
        raise InputError(f"{file.name}: gain and ipc need light; give [[ramps]] with fill above 0, or files of a lamp")
    if len({s.observation.ngroups for s in sets}) > 1:
        raise InputError(f"{file.name}: a noise fit needs as many groups in all its ramps")
    if o.ngroups - file.first_group < 3:
        raise InputError(f"{file.name}: fewer than 3 groups from group {file.first_group} on")
    if min(len(s.data) for s in sets) - file.noise.skip_integrations < 2:
        raise InputError(f"{file.name}: at least 2 integrations beside those that are left out are needed")
    if "one_over_f_slope" in free and "one_over_f" not in o.effects:
        raise InputError(f"{file.name}: a slope needs 1/f noise, which is switched off")
    rows, columns = window(o)
    levels = noise.levels_of(sets, file.first_group, rows, columns, file.noise.skip_integrations)
    found = noise.fit(levels, noise.table(o, "ipc" in file.model), file.noise)
    progress(1, 1)
    checks = {s.label: _check(c, f) for s, c, f in zip(sets, found.chi_square, found.freedom, strict=True)}
    bands = {s.label: bands_of(c, f) for s, c, f in zip(sets, found.chi_square, found.freedom, strict=True)}
    rows_shown = tuple(
        (name, f"{v:.6g} ± {e:.2g} (curvature: {c:.2g})")
        for name, v, e, c in zip(found.names, found.value, found.error, found.laplace, strict=True)
    )
    knee = knee_hz(found)
    if knee is not None:
        rows_shown += (("knee of the 1/f noise (Hz)", f"{knee[0]:.4g} ± {knee[1]:.2g}"),)
    trust = (
        *((f"chi-square, {label}", check.words()) for label, check in checks.items()),
        *((f"{name}, held: the ramps would move it by", check.words()) for name, check in found.held.items()),
        ("eigenvalues of the Fisher correlation", ", ".join(f"{e:.2g}" for e in found.eigenvalues)),
        ("window", f"{levels.shape[1]} x {levels.shape[0]} pixels"),
    )
    figures = {
        "names": list(found.names),
        "value": found.value.tolist(),
        "error": found.error.tolist(),
        "laplace": found.laplace.tolist(),
        "fisher_eigenvalues": found.eigenvalues.tolist(),
        "converged": found.converged,
        "checks": {label: c._asdict() for label, c in checks.items()},
        "knee_hz": knee,
        "held": {name: c._asdict() for name, c in found.held.items()},
        "bands": {label: [c._asdict() for c in each] for label, each in bands.items()},
    }
    picture = Picture(
        "Noise against the model, by spatial frequency",
        "Power of the residuals over that of the model, from large structures (left) to single pixels (right). Where "
        "the model lacks the coupling of neighbours the left is high and the right low.",
        png_uri(mode_power({label: np.array([b.value for b in each]) for label, each in bands.items()})),
    )
    return Outcome(
        figures=figures,
        arrays={"value": found.value, "covariance": found.covariance},
        library=_library(o, dict(zip(found.names, found.value, strict=True)), free),
        sections=(("Parameters", rows_shown), ("Can it be trusted?", trust)),
        warnings=_warnings(checks, bands, found),
        pictures=(picture,),
    )


def knee_hz(found: noise.Found) -> tuple[float, float] | None:
    """Frequency at which 1/f noise is as strong as the read noise, and its error; None unless both are free.

    A^2 / f (PIVOT_HZ / f)^(slope - 1) = 2 sigma^2 CLOCK_S, the one-sided density of the reads of one output.
    """
    if not {"pink_e", "read_noise_e"} <= set(found.names):
        return None
    value = dict(zip(found.names, found.value.tolist(), strict=True))
    slope = value.get("slope", 1.0)
    density = 2 * value["read_noise_e"] ** 2 * CLOCK_S
    logarithm = np.log(value["pink_e"] ** 2 / (density * PIVOT_HZ)) / slope
    by = {"pink_e": 2 / value["pink_e"], "read_noise_e": -2 / value["read_noise_e"], "slope": -logarithm}
    weight = np.array([by.get(name, 0.0) for name in found.names]) / slope
    knee = PIVOT_HZ * float(np.exp(logarithm))
    return knee, knee * float(np.sqrt(weight @ found.covariance @ weight))


def window(o: Observation) -> tuple[slice, slice]:
    """The largest window of lit pixels of the first output, or of all interleaved ones, at most LARGEST wide.

    Its pixels have neighbours on all sides: those at the edge of a simulated window give nothing to any beyond it.
    """
    lit = ~reference_pixels(o.shape, o.readout)
    if not o.interleaved and o.readout.outputs > 1:
        axis = 1 if abs(o.readout.fast_axis) == 1 else 0
        edge = o.shape[axis] // o.readout.outputs
        lit = lit & (np.arange(o.shape[axis]) < edge).reshape((1, -1) if axis == 1 else (-1, 1))
    edges = ((int(a[0]), int(a[-1]) + 1) for a in (np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))))
    rows, columns = (slice(low + 1, min(high - 1, low + 1 + LARGEST)) for low, high in edges)
    return rows, columns


def _check(chi_square: np.ndarray, freedom: float) -> Checked:
    ratio = float(chi_square.mean() / freedom)
    return Checked(ratio, 1.0, (ratio - 1) * np.sqrt(freedom * chi_square.size / 2))


def bands_of(chi_square: np.ndarray, freedom: float) -> list[Checked]:
    """Chi-square of modes by their spatial frequency, from large structures to single pixels."""
    y, x = (np.arange(size) / size for size in chi_square.shape)
    band = np.minimum((np.hypot(y[:, None], x) / np.sqrt(2) * BANDS).astype(int), BANDS - 1)
    return [_check(chi_square[band == b], freedom) for b in range(BANDS)]


def _library(o: Observation, value: dict[str, float], free: tuple[str, ...]) -> dict:
    """Reference files of what was free, the same everywhere in the window of the mode."""
    gain = value.get("gain", o.detector.gain_e_per_dn)
    whole = np.ones(o.shape, np.float32)
    out = {}
    if "gain" in free:
        out["gain"] = Gain(whole * np.float32(gain), np.float32(1))
    if "read_noise" in free:
        out["readnoise"] = ReadNoise(whole * np.float32(value["read_noise_e"] / gain * np.sqrt(2)))
    if "alpha_x" in value:
        out["ipc"] = Ipc(inverse_kernel(np.array([value["alpha_x"], value["alpha_y"]])).astype(np.float32))
    return out


def _warnings(checks: dict[str, Checked], bands: dict[str, list[Checked]], found: noise.Found) -> tuple[str, ...]:
    notes = []
    for label, check in checks.items():
        worst = max((check, *bands[label]), key=lambda c: abs(c.sigma))
        if abs(worst.sigma) > SUSPICIOUS:
            notes.append(
                f"The model does not describe the noise of {label}: chi-square is {worst.value:.4f} in a band of "
                f"spatial frequency, {abs(worst.sigma):.0f} standard errors from 1."
            )
    for name, check in found.held.items():
        if abs(check.sigma) > SUSPICIOUS:
            notes.append(
                f"{name} was held, and the ramps would move it by {check.value:.3g}, {abs(check.sigma):.0f} standard "
                "errors: what is free is biased by that."
            )
    if not found.converged:
        notes.append("The search did not converge.")
    if found.eigenvalues.min() < 1e-6:
        notes.append("Some parameters can hardly be told apart: the Fisher matrix is nearly singular.")
    return tuple(notes)
