"""From files to products: an exposure through the stages it still needs.

The path of real and of simulated exposures alike: uncal -> rateints -> calints -> crfints -> x1dints -> white light.
Every stage opens the product of the one before; a product appears whole or not at all, and missing references are
listed before any pixel is read.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io import images, x1dints
from uptheramp.calibrate.io.exposure import Exposure
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.io.times import group_times_s
from uptheramp.calibrate.references import crds
from uptheramp.calibrate.references import library as references
from uptheramp.calibrate.settings import Recipe
from uptheramp.calibrate.state import LightCurves, Spectra, join
from uptheramp.calibrate.step import Step
from uptheramp.calibrate.stream import chunk_size, detector, learned, local, neighbours, split

Progress = Callable[[str, int, int], None]
STAGE_OF = {"calints": 2, "crfints": 3}  # the stage that makes a product of images
CHUNK_MB, POOLED_MB = 64.0, 2048.0  # float32 ramps taken at once; all of them where a step pools the exposure
SAMPLE = 24  # integrations from which steps learn a reference


class Product(NamedTuple):
    """What a stage leaves: the file and what later stages may want without reading it again."""

    path: Path
    library: dict[str, Any]
    groupdq: np.ndarray | None = None  # flags that the slope fit saw
    spectra: Spectra | None = None


def reftypes(steps: Iterable[Step]) -> dict[str, type]:
    """REFTYPE -> class for everything these steps may take."""
    return {name: step.reference_class(name) for step in steps for name in step.reftypes()}


def load_library(
    exposure: Exposure, steps: tuple[Step, ...], directory: Path | None, *, from_crds: bool = False
) -> dict[str, Any]:
    """The references that these steps take: those of a folder of CRDS-format files, then those of CRDS.

    Raises
    ------
    InputError
        Naming every missing type at once, before any pixel is read.
    """
    classes, path = reftypes(steps), exposure.segments[0].path
    paths = references.find(directory, exposure.meta, tuple(classes)) if directory else {}
    if from_crds:
        paths = {**crds.find(path, [name for name in classes if name not in paths]), **paths}
    needed = {name: step.name for step in steps for name, need in step.reftypes().items() if need}
    missing = [f"{name} (for {step})" for name, step in sorted(needed.items()) if name not in paths]
    if missing:
        places = [f"in {directory}"] * (directory is not None) + ["in CRDS"] * from_crds
        where = " or ".join(places) or "because no --refs folder was given, and no --crds,"
        raise InputError(
            f"{path}: no reference file {where} for {', '.join(missing)}; "
            "add them, give another --refs, or skip the step with --set STEP.skip=true"
        )
    return references.load(paths, exposure.meta, classes)


def quiet(stage: str, done: int, total: int) -> None:
    """Progress that says nothing."""


def stage1(
    exposure: Exposure, recipe: Recipe, library: Mapping[str, Any], out: Path, progress: Progress = quiet
) -> Product:
    """Ramps to rates: write `_rateints` and `_rate`; returns the flags too (bytes, one a sample)."""
    budget_mb, sample = (POOLED_MB, exposure.nints) if recipe.pools else (CHUNK_MB, SAMPLE)
    size = chunk_size(exposure.meta.ngroups, exposure.meta.shape, exposure.nints, budget_mb)
    known = learned(recipe.stage1, exposure.sample(sample), library, recipe.params)
    path = out / f"{exposure.root}_rateints.fits"
    cards = recipe.cards(1)
    kept, total, file, meta = [], _Mean(), None, exposure.meta
    with ExitStack() as stack:
        for chunk in detector(recipe.stage1, exposure.chunks(size), known, recipe.params):
            groupdq = np.asarray(chunk.groupdq[: chunk.count])
            if file is None:  # which groups count is known once the first chunk is flagged
                meta = replace(meta, mean_group_s=mean_used_s(groupdq, meta))
                file = stack.enter_context(images.writer(path, meta, exposure.int_times, "DN/s", cards))
            piece = images.pieces(chunk.rates, chunk.count)
            file.write(chunk.first, **piece)
            total.add(piece)
            kept.append(groupdq)
            progress("stage 1", chunk.first + chunk.count, exposure.nints)
    images.write_mean(out / f"{exposure.root}_rate.fits", meta, total.result(), "DN/s", cards)
    return Product(path, known, np.concatenate(kept))


def mean_used_s(groupdq: np.ndarray, meta: ExposureMeta) -> float:
    """Mean time (s after INT_START) of the groups that are not DO_NOT_USE in most pixels: steps drop whole groups."""
    used = ((groupdq & flags.DO_NOT_USE) == 0).mean((0, 2, 3)) > 0.5
    return float(group_times_s(meta)[used if used.any() else slice(None)].mean())


class _Mean:
    """Running mean over integrations of the usable values of each pixel."""

    def __init__(self):
        self.sums: dict[str, Any] = {}

    def add(self, piece: dict[str, np.ndarray]) -> None:
        good = np.isfinite(piece["SCI"])
        new = {name: np.where(good, piece[name], 0).sum(0, np.float64) for name in ("SCI", "VAR_POISSON", "VAR_RNOISE")}
        new["n"] = good.sum(0)
        new["DQ"] = np.bitwise_and.reduce(piece["DQ"])
        if not self.sums:
            self.sums = new
            return
        self.sums = {n: self.sums[n] & new[n] if n == "DQ" else self.sums[n] + new[n] for n in new}

    def result(self) -> dict[str, np.ndarray]:
        n = np.where(self.sums["n"] > 0, self.sums["n"], np.nan)
        mean = {"SCI": self.sums["SCI"] / n, "DQ": self.sums["DQ"]}
        mean |= {name: self.sums[name] / n**2 for name in ("VAR_POISSON", "VAR_RNOISE")}
        mean["ERR"] = np.sqrt(mean["VAR_POISSON"] + mean["VAR_RNOISE"])
        return mean


def stage2(
    exposure: Exposure, recipe: Recipe, library: Mapping[str, Any], out: Path, progress: Progress = quiet
) -> Product:
    """Rates to calibrated images (`_calints`) and spectra (`_x1dints`)."""
    return _images_to_spectra(exposure, recipe, recipe.stage2, library, out, "calints", progress)


def stage3(
    exposure: Exposure, recipe: Recipe, library: Mapping[str, Any], out: Path, progress: Progress = quiet
) -> Product:
    """Calibrated images to images with outliers flagged (`_crfints`) and final spectra (`_x1dints`)."""
    if exposure.nints < 2:
        raise InputError(f"{exposure.segments[0].path}: one integration is no time series; Stage 3 needs two or more")
    steps = split(recipe.stage3, LightCurves)[0]
    return _images_to_spectra(exposure, recipe, steps, library, out, "crfints", progress)


def _images_to_spectra(
    exposure: Exposure,
    recipe: Recipe,
    steps: tuple[Step, ...],
    library: Mapping[str, Any],
    out: Path,
    name: str,
    progress: Progress,
) -> Product:
    on_images, on_spectra = split(steps, Spectra)
    nints = exposure.nints
    size = chunk_size(1, exposure.meta.shape, nints, CHUNK_MB)
    known = learned(steps, exposure.rate_sample(SAMPLE), library, recipe.params)
    path = out / f"{exposure.root}_{name}.fits"
    stage = STAGE_OF[name]
    cards = recipe.cards(*range(1, stage + 1))
    if any(step.halo for step in on_images):
        chunks = neighbours(on_images, exposure.rates, nints, size, known, recipe.params)
    else:
        chunks = local(on_images, exposure.rate_chunks(size), known, recipe.params)
    spectra, file = [], None
    with ExitStack() as stack:
        for first, count, rates in chunks:
            if file is None:  # the unit and wavelengths are known once the first chunk is calibrated
                file = stack.enter_context(
                    images.writer(path, exposure.meta, exposure.int_times, rates.unit, cards, rates.wavelength_um)
                )
                if rates.wavelength_um is not None:
                    file.write(0, WAVELENGTH=np.asarray(rates.wavelength_um))
            file.write(first, **images.pieces(rates, count))
            spectra += local(on_spectra, [(first, count, rates)], known, recipe.params)
            progress(f"stage {stage}", first + count, nints)
    whole = join(spectra)
    x1dints.write(out / f"{exposure.root}_x1dints.fits", (whole,), exposure.meta, exposure.int_times, cards)
    return Product(path, known, spectra=whole)
