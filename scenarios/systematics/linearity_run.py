"""The linearity family from ramps to reference file: prepare, fit, judge, picture."""

from collections.abc import Callable, Sequence

import numpy as np

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.scenarios.systematics import diagnostics, exposures, forward, linearity
from uptheramp.scenarios.systematics.exposures import RampSet
from uptheramp.scenarios.systematics.fit_file import FitFile
from uptheramp.scenarios.systematics.outcome import SUSPICIOUS, Outcome
from uptheramp.simulate.calibration.linearity import with_pedestal
from uptheramp.simulate.detector.maps import reference_pixels
from uptheramp.validate.figures.correction_curves import correction_curves
from uptheramp.validate.figures.pull_histogram import pull_histogram
from uptheramp.validate.figures.residual_ramps import residual_ramps
from uptheramp.validate.report_figures import Picture, png_uri

FILLS = np.array([0.1, 0.3, 0.5, 0.7, 0.85])  # of the well at the table's gain: where corrections are compared


def run(file: FitFile, sets: Sequence[RampSet], progress: Callable[[int, int], None]) -> Outcome:
    """Fit every pixel that sees light.

    Raises
    ------
    InputError
        If there is no lit exposure, or lit ones differ in their groups, or darks in theirs.
    """
    lit, dark = [s for s in sets if not s.dark], [s for s in sets if s.dark]
    groups = {s.observation.ngroups for s in sets}
    if not lit or len(groups) > 1 or len(dark) > 1:
        raise InputError(f"{file.name}: linearity needs lit ramps, at most one dark, and as many groups in all of them")
    o, block = lit[0].observation, file.linearity
    if o.ngroups - file.first_group < 4:
        raise InputError(f"{file.name}: {o.ngroups} groups from group {file.first_group} on; at least 4 are needed")
    known = [exposures.statistics(s, file.first_group) for s in lit]
    mean, count = np.stack([s.mean for s in known]), np.stack([s.count for s in known])
    darks = np.zeros(o.shape)
    pedestal = np.zeros(o.shape)
    if dark:
        level = exposures.statistics(dark[0], file.first_group)
        mean, darks, pedestal = mean - level.mean, level.count, level.signal
    elif o.instrument.step_family == "mid_ir":
        raise InputError(f"{file.name}: {o.detector.name} is made linear with its pedestal: give a dark exposure")
    pixels = np.flatnonzero(~reference_pixels(o.shape, o.readout))
    model = forward.nominal(o, file.model)
    flat = (mean.reshape(*mean.shape[:2], -1)[..., pixels], count.reshape(len(count), -1)[:, pixels])
    found = linearity.fit(model, *flat, darks.ravel()[pixels], block, file.first_group, progress)
    return _outcome(file, lit, found, pixels, pedestal)


def _outcome(
    file: FitFile, lit: list[RampSet], found: linearity.PixelFit, pixels: np.ndarray, pedestal: np.ndarray
) -> Outcome:
    o, terms = lit[0].observation, file.linearity.terms
    gain, well = o.detector.gain_e_per_dn, o.detector.full_well_e
    good = found.converged
    levels = len(lit)
    whitened = found.whitened.reshape(levels, -1, len(pixels))
    image = np.full((levels * whitened.shape[1], o.shape[0] * o.shape[1]), np.nan)
    image[:, pixels[good]] = found.whitened[:, good]
    image = image.reshape(-1, *o.shape)
    checks = {
        "chi_square": diagnostics.chi_square(found.chi_square[good], found.freedom[good]),
        "neighbours_y": diagnostics.neighbours(image, 1),
        "neighbours_x": diagnostics.neighbours(image, 2),
    }
    eigenvalues = np.linalg.eigvalsh(np.moveaxis(found.fisher[:terms, :terms], -1, 0)[good])
    marginal = np.linalg.inv(np.moveaxis(found.covariance[:terms, :terms], -1, 0)[good]) * file.linearity.prior_sd**2
    told = np.linalg.eigvalsh(marginal) - 1  # by the data, rates unknown, in units of the prior
    signal = FILLS * well / gain
    curve, error = linearity.corrections(found, terms, signal, gain, well)
    truth = None if lit[0].constants is None else linearity.true_corrections(lit[0].constants, pixels, signal)
    figures = {
        "pixels": len(pixels),
        "converged": float(good.mean()),
        "checks": {name: c._asdict() for name, c in checks.items()},
        "median": {f"a_{n + 1}": float(np.median(found.value[n, good])) for n in range(terms)},
        "median_error": {f"a_{n + 1}": float(np.median(found.error[n, good])) for n in range(terms)},
        "laplace_over_fisher": float(np.median((found.laplace / found.error)[:terms, good])),
        "information_eigenvalues": np.median(told, axis=0).tolist(),
        "fisher_eigenvalues_rates_known": np.median(eigenvalues, axis=0).tolist(),
        "signal_dn": signal.tolist(),
        "median_correction": np.median(curve[:, good], axis=1).tolist(),
        "median_correction_error": np.median(error[:, good], axis=1).tolist(),
    }
    pictures = [
        Picture(
            "What the fit left over",
            "Left: residual differences of groups, mean over pixels, in units of one pixel's error; zero if the model "
            "is right. Right: chi-square of each pixel beside its law.",
            png_uri(residual_ramps(whitened[..., good], found.chi_square[good], found.freedom[good], _labels(lit))),
        ),
        Picture(
            "The correction",
            "Factor that makes a signal linear, relative to that of the smallest signal shown.",
            png_uri(correction_curves(signal, curve[:, good], None if truth is None else truth[:, good])),
        ),
    ]
    if truth is not None:
        sound = good & _sound(lit[0], pixels)
        off = (curve - truth)[1:, sound]  # the first signal's is 0 by rule, and so is its error
        pulls = off / error[1:, sound]
        figures["truth"] = {
            "pull_mean": pulls.mean(1).tolist(),
            "pull_scatter": pulls.std(1).tolist(),
            "bias": off.mean(1).tolist(),
        }
        caption = (
            "Correction less the truth over its Fisher error, all signals but the first, hot and dead pixels left out."
        )
        pictures.append(Picture("Are the errors honest?", caption, png_uri(pull_histogram(pulls[-1:]))))
    rows = (
        ("Pixels fitted", f"{len(pixels)}, of which {good.mean():.2%} converged"),
        *(
            (f"a_{n + 1}", f"{np.median(found.value[n, good]):.4f} ± {np.median(found.error[n, good]):.4f}")
            for n in range(terms)
        ),
        ("Errors from the curvature over Fisher errors", f"{figures['laplace_over_fisher']:.4f}"),
    )
    trust = (
        *(
            (name.replace("_", " "), f"{c.value:.4f}, expected {c.expected:g} ({c.sigma:+.1f} sigma)")
            for name, c in checks.items()
        ),
        ("information over the prior, by direction", ", ".join(f"{e:.3g}" for e in np.median(told, axis=0))),
    )
    return Outcome(
        figures=figures,
        arrays={"pixel": pixels, **{name: np.asarray(getattr(found, name)) for name in found._fields}},
        library={"linearity": reference(found, terms, pixels, o, pedestal)},
        sections=(("Parameters, median pixel", rows), ("Can it be trusted?", trust)),
        warnings=_warnings(checks, told, good),
        pictures=tuple(pictures),
    )


def reference(found: linearity.PixelFit, terms: int, pixels: np.ndarray, o, pedestal: np.ndarray) -> Linearity:
    """LINEARITY of the whole window; identity and NO_LIN_CORR in reference pixels and where no fit converged."""
    gain, well = o.detector.gain_e_per_dn, o.detector.full_well_e
    coefficients = linearity.polynomial(found, terms, pixels, o.shape, gain, well)
    unknown = ~np.isfinite(coefficients).all(0)
    identity = np.zeros((len(coefficients), 1, 1))
    identity[1] = 1
    coefficients = np.where(unknown, identity, coefficients)
    if o.instrument.step_family == "mid_ir":
        coefficients = with_pedestal(coefficients, np.where(unknown, 0, pedestal))
    dq = np.where(unknown, flags.NO_LIN_CORR, 0).astype(np.uint32)
    return Linearity(coefficients.astype(np.float32), dq)


def _labels(lit: list[RampSet]) -> tuple[str, ...]:
    return tuple(s.label for s in lit)


def _sound(ramps: RampSet, pixels: np.ndarray) -> np.ndarray:
    """Pixels of a simulation that are neither hot nor dead."""
    assert ramps.constants is not None
    maps = ramps.constants.maps
    return ~(np.asarray(maps.hot) | np.asarray(maps.dead)).ravel()[pixels]


def _warnings(checks: dict[str, diagnostics.Checked], told: np.ndarray, good: np.ndarray) -> tuple[str, ...]:
    notes = []
    for name, check in checks.items():
        if abs(check.sigma) > SUSPICIOUS:
            notes.append(
                f"The model does not describe these ramps: {name.replace('_', ' ')} is {check.value:.4f}, "
                f"{abs(check.sigma):.0f} standard errors from {check.expected:g}."
            )
    weak = int((np.median(told, axis=0) < 1).sum())
    if weak:
        notes.append(f"In {weak} direction{'s' * (weak > 1)} of the parameters the prior says more than the ramps.")
    if good.mean() < 0.99:
        notes.append(f"{1 - good.mean():.1%} of the pixels did not converge; the reference leaves them as they are.")
    return tuple(notes)
