"""The family of interference from ramps to reference file: prepare, fit, judge, picture."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import norm

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios.systematics import diagnostics, emi, emi_model
from uptheramp.scenarios.systematics.diagnostics import Checked
from uptheramp.scenarios.systematics.exposures import RampSet
from uptheramp.scenarios.systematics.fit_file import FitFile
from uptheramp.scenarios.systematics.outcome import SUSPICIOUS, Outcome
from uptheramp.simulate.detector.emi import waveforms
from uptheramp.simulate.ramps import references
from uptheramp.validate.figures.interference import interference
from uptheramp.validate.report_figures import Picture, png_uri

FEWEST = 4  # integrations: their mean takes one of them away
NEARLY = 1e-3  # eigenvalue of the Fisher correlation below which parameters can hardly be told apart


def run(file: FitFile, sets: Sequence[RampSet], progress: Callable[[int, int], None]) -> Outcome:
    """Fit the tones of one exposure, dark or lit.

    Raises
    ------
    InputError
        If the detector has no tones, groups or integrations are too few, or groups average frames.
    """
    o = sets[0].observation
    table = o.detector.emi
    if table is None:
        raise InputError(f"{file.name}: no interference is known in {o.detector.name}; MIRIMAGE has some")
    if len(sets) > 1:
        raise InputError(f"{file.name}: phases belong to one exposure; give one [[ramps]] block")
    if o.readout.nframes > 1:
        raise InputError(f"{file.name}: groups of {o.readout.nframes} frames wash the tones out; give FAST ramps")
    if o.ngroups - file.first_group < 2 or o.nints - file.emi.skip_integrations < FEWEST:
        raise InputError(f"{file.name}: at least 2 groups and {FEWEST} integrations beside those that are left out")
    ramps = emi_model.prepared(sets[0], file.model, file.emi, file.first_group)
    found = emi.fit(ramps, table, file.emi, _pink_dn(file, sets[0]))
    progress(1, 1)
    return _outcome(file, sets[0], found)


def _pink_dn(file: FitFile, ramps: RampSet) -> float:
    """Amplitude of 1/f noise in the mean of the outputs that are read at once, DN."""
    o = ramps.observation
    noise = o.detector.one_over_f
    known = "one_over_f" in file.model
    return (
        known
        * float(np.hypot(noise.common_e, noise.independent_e / np.sqrt(o.readout.outputs)))
        / (o.detector.gain_e_per_dn)
    )


def checks(found: emi.Found) -> dict[str, Checked]:
    """Whether tones are left in the residuals, and whether single integrations agree with the exposure."""
    highest, size = float(found.after[1].max()), len(found.after[1])
    by_chance = float(np.clip(size * np.exp(-highest), 1e-300, 0.5))
    steps = (found.steps / found.step_errors) ** 2
    parts = steps.shape[1] // 2
    # amplitude, phase and frequency of each fundamental were taken from the same integrations
    freedom = np.array([steps.size - 3.0 * parts])
    return {
        "highest line of the residuals": Checked(highest, float(np.log(size)), float(norm.isf(by_chance))),
        "steps of single integrations": diagnostics.chi_square(np.array([steps.sum()]), freedom),
    }


def _outcome(file: FitFile, ramps: RampSet, found: emi.Found) -> Outcome:
    o = ramps.observation
    table = o.detector.emi
    assert table is not None
    fitted = emi.fitted_table(found, table)
    waves = waveforms(fitted, references.WAVE_BINS)
    judged = checks(found)
    figures = {
        "names": list(found.names),
        "value": found.value.tolist(),
        "error": [float(e) if np.isfinite(e) else None for e in found.error],
        "fisher": [float(e) if np.isfinite(e) else None for e in found.fisher],
        "laplace": [float(e) if np.isfinite(e) else None for e in found.laplace],
        "fisher_eigenvalues": found.eigenvalues.tolist(),
        "converged": found.converged,
        "chi_square": found.chi_square / found.freedom,
        "checks": {name: c._asdict() for name, c in judged.items()},
        "amplitude_and_turns_by_integration": found.steps.tolist(),
        "their_errors": found.step_errors.tolist(),
    }
    if ramps.constants is not None and "emi" in ramps.constants.own:
        figures["truth"] = {"off": deviation(found, ramps).tolist()}
    rows = tuple(
        (name, f"{v:.6g} ± {e:.2g} (white noise: {f:.2g}; curvature: {c:.2g})" if np.isfinite(e) else "not seen")
        for name, v, e, f, c in zip(found.names, found.value, found.error, found.fisher, found.laplace, strict=True)
    )
    trust = (
        *((name, check.words()) for name, check in judged.items()),
        ("chi-square by degree of freedom", f"{found.chi_square / found.freedom:.4f}; the errors have its root"),
        ("eigenvalues of the Fisher correlation", ", ".join(f"{e:.2g}" for e in found.eigenvalues)),
    )
    picture = Picture(
        "Interference",
        "Left: highest power of the numbers read in narrow ranges of frequency, before and after the tones. Right: the "
        "waves, with their harmonics, as the reference holds them.",
        png_uri(
            interference(
                found.before,
                found.after,
                float(np.log(len(found.after[1]))) - norm.logsf(SUSPICIOUS),
                {f"{frequency:.3f} Hz": wave for frequency, wave in waves.items()},
            )
        ),
    )
    return Outcome(
        figures=figures,
        arrays={"value": found.value, "covariance": found.covariance, "steps": found.steps},
        library={"emicorr": references.emicorr(o, waves)},
        sections=(("Parameters", rows), ("Can it be trusted?", trust)),
        warnings=_warnings(judged, found),
        pictures=(picture,),
    )


def deviation(found: emi.Found, ramps: RampSet) -> np.ndarray:
    """Found less true: amplitudes (DN), phases (turns, to the nearest), frequencies (ppm)."""
    assert ramps.constants is not None
    own, n = ramps.constants.own["emi"], len(found.seen)
    table = ramps.observation.detector.emi
    assert table is not None
    first = [found.names.index(f"amplitude_dn_{name.removeprefix('ppm_')}") for name in found.names[2 * n :]]
    ppm = 1e6 * (np.asarray(own.frequency_hz) / np.asarray(table.frequency_hz) - 1)[first]
    off = found.value - np.concatenate([own.amplitude_dn, own.phase_turns, ppm])
    off[n : 2 * n] = (off[n : 2 * n] + 0.5) % 1 - 0.5
    return off


def _warnings(judged: dict[str, Checked], found: emi.Found) -> tuple[str, ...]:
    notes = [
        f"The tones do not describe these ramps: {name}, {check.words()}."
        for name, check in judged.items()
        if check.sigma > SUSPICIOUS
    ]
    hidden = [n.removeprefix("amplitude_dn_") for n, seen in zip(found.names, found.seen, strict=False) if not seen]
    if hidden:
        notes.append(
            f"{', '.join(hidden)}: comes back at the same phase with every read or integration and cannot be told from "
            "the pixels' own ramps; the reference has the table's shape. Another number of groups may tell."
        )
    if not found.converged:
        notes.append("The search did not converge.")
    if found.eigenvalues.min() < NEARLY:
        notes.append("Some parameters can hardly be told apart: the Fisher matrix is nearly singular.")
    return tuple(notes)
