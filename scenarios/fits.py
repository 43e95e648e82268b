"""Fits of a file of light curves: read, fit, draw, and only then write."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.fit.sampler import sample_white
from uptheramp.calibrate.fit.spectrum import planet_spectrum
from uptheramp.calibrate.fit.summary import sample_summary, spectrum_summary, white_summary
from uptheramp.calibrate.fit.system import System, load_system
from uptheramp.calibrate.fit.white import WhiteFit, fit_white
from uptheramp.calibrate.io import lightcurve_files, published, tspec
from uptheramp.calibrate.io.atomic import whole
from uptheramp.calibrate.state import LightCurves, PlanetSpectrum
from uptheramp.validate.figures import style
from uptheramp.validate.figures.spectrum_comparison import spectrum_comparison
from uptheramp.validate.figures.white_light_fit import white_light_fit

CHOICES = {"limb_darkening": ("fixed", "fitted"), "orbit": ("fixed", "fitted")}


def fit_file(
    file: Path, system_name: str, out: Path, choices: dict[str, str], sampler: bool, compare: tuple[Path, ...]
) -> list[Path]:
    """Fit the light curves of a file; return what was written.

    `<root>_fit.json` and `<root>_fit.png`; with several channels also `<root>_tspec.ecsv` and `.fits`; with several
    channels or spectra to compare with, `<root>_spectrum.png`.

    Raises
    ------
    InputError
        Before anything is written: unreadable files, an unknown choice, a fit that does not converge.
    """
    for name, known in CHOICES.items():
        if choices[name] not in known:
            raise InputError(f"--{name.replace('_', '-')} {choices[name]}: give one of {', '.join(known)}")
    light_curves = lightcurve_files.read(file)
    system = load_system(system_name)
    spectra = [published.read(path) for path in compare]
    spectrum, white = fit(light_curves, system, choices)
    if not bool(white.curve.converged):
        raise InputError(f"{file}: the fit of {system.name} does not converge; is the {white.kind} in these data?")
    report: dict[str, Any] = {"file": file.name, "system": system.name, "choices": choices, **white_summary(white)}
    if sampler:
        report["samples"] = sample_summary(sample_white(light_curves, system, white))
    several = len(spectrum.depth) > 1
    if several:
        report["spectrum"] = spectrum_summary(spectrum)
    root = file.stem.removesuffix("_whtlt").removesuffix("_phot")
    figures = {f"{root}_fit.png": draw_white(white, system)}
    if several or spectra:
        figures[f"{root}_spectrum.png"] = draw_spectrum(spectrum, spectra)
    return write(out, root, report, figures, spectrum if several else None)


def fit(light_curves: LightCurves, system: System, choices: dict[str, str]) -> tuple[PlanetSpectrum, WhiteFit]:
    """Fit channels where there are several; one curve alone is its own white light curve."""
    if len(light_curves.flux) > 1:
        spectrum, white, _ = planet_spectrum(light_curves, system, **choices)
        return spectrum, white
    white = fit_white(light_curves, system, **choices)
    depth, variance = np.atleast_1d(white.depth), np.atleast_2d(white.error(0) ** 2)
    return PlanetSpectrum(light_curves.wavelength_um, light_curves.half_width_um, depth, variance), white


def draw_white(white: WhiteFit, system: System) -> Figure:
    """Draw the white light curve against the time from mid-transit or mid-eclipse."""
    middle = float(white.t0) if white.kind == "transit" else float(np.mean(white.time))
    time_h = (np.asarray(white.time) - middle) * 24.0
    depth, error = float(white.depth) * 1e6, float(white.error(0)) * 1e6
    title = f"{system.name}: depth {depth:.0f} ± {error:.0f} ppm"
    return white_light_fit(time_h, np.asarray(white.flux), np.asarray(white.curve.model), title=title)


def draw_spectrum(spectrum: PlanetSpectrum, others: list[published.Published]) -> Figure:
    """Draw the depths, beside published ones if any are given."""
    curves = {other.name: (other.wavelength_um, other.depth, other.error) for other in others}
    arrays = (spectrum.wavelength_um, spectrum.half_width_um, spectrum.depth, spectrum.error)
    wavelength_um, half_width_um, depth, error = (np.asarray(a) for a in arrays)
    return spectrum_comparison(wavelength_um, half_width_um, depth, error, curves)


def write(
    out: Path, root: str, report: dict[str, Any], figures: dict[str, Figure], spectrum: PlanetSpectrum | None
) -> list[Path]:
    """Write the products, each whole or not at all."""
    paths = [out / f"{root}_fit.json"]
    with whole(paths[0]) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for name, figure in figures.items():
        with whole(out / name) as temporary:
            temporary.write_bytes(style.to_png(figure, dpi=90))
        paths.append(out / name)
    if spectrum is not None:
        paths += tspec.write(out, root, spectrum, {"system": report["system"], **report["choices"]})
    return paths
