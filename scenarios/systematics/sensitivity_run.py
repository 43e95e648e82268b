"""`uptheramp sensitivity`: reduce a scenario once, differentiate, rank."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.fit.channels import depth_derivative
from uptheramp.calibrate.io.atomic import whole
from uptheramp.calibrate.reduce import Progress
from uptheramp.scenarios.judge import check, true_channels
from uptheramp.scenarios.progress import bars
from uptheramp.scenarios.reduced import Fitted, Reduced, fit_planet, reduce_exposure
from uptheramp.scenarios.run import simulate_mode
from uptheramp.scenarios.scenario import Scenario, changed
from uptheramp.scenarios.scenario import find as find_scenario
from uptheramp.scenarios.systematics import directions
from uptheramp.scenarios.systematics.sensitivity import depth_shift, derivatives, known
from uptheramp.scenarios.systematics.sensitivity_file import SensitivityFile, Uncertainty, find
from uptheramp.simulate.truth import load
from uptheramp.validate import fit_report
from uptheramp.validate.figures.sensitivity_maps import sensitivity_maps
from uptheramp.validate.figures.sensitivity_spectra import sensitivity_spectra
from uptheramp.validate.report_figures import Picture, png_uri, svg_uri


@dataclass(frozen=True)
class Ranked:
    """What one uncertainty does: shift of the depth by bin (ppm), and by pixel and bin where it has pixels."""

    uncertainty: Uncertainty
    shift_ppm: Float[np.ndarray, "channel"]
    pixel_ppm: Float[np.ndarray, "channel y x"] | None

    @property
    def rms_ppm(self) -> float:
        """Over bins."""
        return rms(self.shift_ppm)


def rms(values: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def sensitivity_file(name: str, out: Path | None) -> Path:
    """Answer a file; write `sensitivity.json`, `maps.npz` and `report.html` beside the products of the reduction.

    Raises
    ------
    InputError
        Before anything is rendered: unknown keys, scenarios, modes; before anything is differentiated: references or
        parameters that the mode does not have.
    """
    file, folder = find(name)
    where = out or Path(Path(name).stem)
    scenario = changed(find_scenario(file.scenario, folder=folder), modes=[file.mode])
    check(scenario)
    with bars(file.name) as progress:
        reduced, fitted, response = reduction(scenario, where, progress)
        ranking = ranked(file, reduced, response, progress)
    write(where, file, ranking, reduced, fitted, f"uptheramp sensitivity {name} -o {where}")
    return where


def reduction(
    scenario: Scenario, where: Path, progress: Progress
) -> tuple[Reduced, Fitted, Float[np.ndarray, "channel time"]]:
    """Simulate, reduce and fit the one mode of a scenario; the last is d(depth)/d(flux) of the fits."""
    (block,) = scenario.mode
    choices = scenario.reduction
    o, _, files = simulate_mode(scenario, block, where, progress, grades=(choices.references,))
    range_um, power = block.range_um or o.mode.useful_range_um, block.resolving_power or choices.resolving_power
    refs = where / "references" / choices.references
    reduced = reduce_exposure(files, where, refs, choices.table, choices.parameters or {}, power, range_um, progress)
    system = true_channels(reduced, o, load(where / "truth")).system
    fitted = fit_planet(reduced.curves, system, choices.limb_darkening, choices.baseline_degree)
    response = depth_derivative(
        reduced.curves,
        system,
        fitted.white,
        fitted.channels,
        limb_darkening=choices.limb_darkening,
        degree=choices.baseline_degree,
    )
    return reduced, fitted, np.asarray(response)


def ranked(
    file: SensitivityFile, reduced: Reduced, response: Float[np.ndarray, "channel time"], progress: Progress
) -> list[Ranked]:
    """What each uncertainty does to the depths, the largest first (rms over bins)."""
    shape = reduced.exposure.meta.shape
    asked = {u.name: (u.of, u.relative, u.absolute) for u in file.uncertainty}
    sizes = {name: directions.size(of, known(reduced, file.gradient), shape) for name, (of, *_) in asked.items()}
    slopes = derivatives(
        reduced,
        response,
        asked,
        sizes,
        file.gradient,
        progress=lambda done, total: progress("gradient", done, total),
    )
    found = [
        Ranked(u, depth_shift(slopes[u.name], u.errs), 1e6 * slopes[u.name] if sizes[u.name] else None)
        for u in file.uncertainty
    ]
    return sorted(found, key=lambda one: one.rms_ppm, reverse=True)


def write(
    out: Path, file: SensitivityFile, ranking: list[Ranked], reduced: Reduced, fitted: Fitted, command: str
) -> None:
    """Write numbers, maps and page."""
    wavelength = np.asarray(reduced.curves.wavelength_um)
    noise = 1e6 * np.sqrt(np.diag(np.asarray(fitted.planet.covariance)))
    figures = {
        "name": file.name,
        "gradient": file.gradient,
        "wavelength_um": wavelength.tolist(),
        "depth_error_ppm": noise.tolist(),
        "uncertainties": [
            {
                "of": r.uncertainty.of,
                "errs": r.uncertainty.errs,
                "relative": r.uncertainty.relative,
                "absolute": r.uncertainty.absolute,
                "rms_ppm": r.rms_ppm,
                "shift_ppm": r.shift_ppm.tolist(),
            }
            for r in ranking
        ],
    }
    with whole(out / "sensitivity.json") as path:
        path.write_text(json.dumps(figures, indent=1) + "\n")
    maps = {r.uncertainty.name: r.pixel_ppm for r in ranking if r.pixel_ppm is not None}
    with whole(out / "maps.npz") as path, path.open("wb") as stream:
        np.savez_compressed(stream, **{name: m.astype(np.float32) for name, m in maps.items()})
    page = fit_report.FitReport(
        title=f"uptheramp sensitivity: {file.name}",
        summary=file.summary,
        command=command,
        sections=(("What moves the depths, by rms over bins", tuple(_row(r) for r in ranking)),),
        pictures=_pictures(ranking, maps, wavelength, noise),
    )
    fit_report.write(out / "report.html", page)


def _row(one: Ranked) -> tuple[str, str]:
    u = one.uncertainty
    how = f"{u.relative:.3g} of it" if u.relative else f"{u.absolute:.3g}"
    largest = float(one.shift_ppm[np.abs(one.shift_ppm).argmax()])
    return f"{u.name}, {how}", f"{one.rms_ppm:.3g} ppm (largest in a bin: {largest:+.3g})"


def _pictures(
    ranking: list[Ranked], maps: dict[str, np.ndarray], wavelength: np.ndarray, noise: np.ndarray
) -> tuple[Picture, ...]:
    shifts = {r.uncertainty.name: r.shift_ppm for r in ranking if r.rms_ppm > 0}
    spectra = Picture(
        "Where in the spectrum",
        "Size of the shift of each depth by one standard error, beside the error that noise gives it.",
        svg_uri(sensitivity_spectra(wavelength, noise, shifts)),
    )
    if not maps:
        return (spectra,)
    images = {name: np.sqrt((m**2).mean(0)) for name, m in maps.items()}
    caption = "What the stated error of each single pixel does to the depths, rms over bins, ppm."
    return spectra, Picture("Which pixels matter", caption, png_uri(sensitivity_maps(images)))
