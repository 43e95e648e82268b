"""`uptheramp fit`: from a file to parameters, reference files and a page."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from uptheramp.calibrate.io.atomic import whole
from uptheramp.scenarios.progress import bars
from uptheramp.scenarios.systematics import emi_run, exposures, linearity_run, noise_run
from uptheramp.scenarios.systematics.fit_file import FitFile, find
from uptheramp.scenarios.systematics.outcome import Outcome
from uptheramp.simulate.ramps import references
from uptheramp.validate import fit_report

FAMILIES: dict[str, Callable[..., Outcome]] = {
    "linearity": linearity_run.run,
    "noise": noise_run.run,
    "emi": emi_run.run,
}


def fit_file(name: str, out: Path | None) -> Path:
    """Fit what a file asks for; write `fit.json`, `parameters.npz`, `references/fitted/` and `report.html`.

    Raises
    ------
    InputError
        Before anything is written: unknown keys, modes or effects, files that are missing or of another window.
    """
    file, folder = find(name)
    where = out or Path(Path(name).stem)
    with bars(file.name, "pixels") as progress:
        progress("ramps", 0, 1)
        sets = exposures.ramp_sets(file, folder)
        progress("ramps", 1, 1)
        outcome = FAMILIES[file.family](file, sets, lambda done, total: progress("fit", done, total))
    write(file, sets[0].observation, outcome, where, f"uptheramp fit {name} -o {where}")
    return where


def write(file: FitFile, observation: Any, outcome: Outcome, out: Path, command: str) -> None:
    """Write all products of a fit."""
    if outcome.library:
        references.save(observation, outcome.library, out / "references" / "fitted")
    with whole(out / "parameters.npz") as path, path.open("wb") as stream:
        np.savez_compressed(stream, **outcome.arrays)
    with whole(out / "fit.json") as path:
        path.write_text(json.dumps({"name": file.name, "family": file.family, **outcome.figures}, indent=1) + "\n")
    page = fit_report.FitReport(
        title=f"uptheramp fit: {file.name}",
        summary=file.summary,
        command=command,
        sections=outcome.sections,
        warnings=outcome.warnings,
        pictures=outcome.pictures,
    )
    fit_report.write(out / "report.html", page)
