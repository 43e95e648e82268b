"""From files to products: an exposure through the stages it still needs.

The path of real and of simulated exposures alike: uncal -> rateints -> calints -> crfints -> x1dints -> white light,
or crfints -> phot where the star was imaged.
Every stage opens the product of the one before; a product appears whole or not at all, and missing references are
listed before any pixel is read. What an earlier run has finished of the same inputs in the same way is not done again.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from uptheramp.calibrate import origin
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io import images, phot, x1dints
from uptheramp.calibrate.io.exposure import Exposure, open_exposure
from uptheramp.calibrate.io.finished import finished, remember
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.io.overlap import Behind, ahead
from uptheramp.calibrate.references import crds
from uptheramp.calibrate.references import library as references
from uptheramp.calibrate.references.photom import ARCSEC2_PER_SR
from uptheramp.calibrate.settings import Recipe
from uptheramp.calibrate.sink import Outputs, Sink
from uptheramp.calibrate.state import LightCurves, Photometry, Rates, Spectra, join
from uptheramp.calibrate.step import Step
from uptheramp.calibrate.stream import (
    Reduced,
    chunk_size,
    detector,
    learned,
    learned_in_parts,
    local,
    neighbours,
    split,
)

Progress = Callable[[str, int, int], None]
CHUNK_MB, POOLED_MB = 40.0, 2048.0  # float32 ramps taken at once; all of them where a step pools the exposure
SAMPLE = 24  # integrations from which steps learn a reference
SAMPLE_MB, FEWEST = 288.0, 8  # fewer if their float32 ramps take more, but so many


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
    """The references that these steps take: of a folder of CRDS-format files, then of CRDS; some of the header alone.

    Raises
    ------
    InputError
        Naming every missing type at once, before any pixel is read.
    """
    everything, path = reftypes(steps), exposure.segments[0].path
    told = _told(everything, exposure.meta, path)
    classes = {name: kind for name, kind in everything.items() if name not in told}
    wanted = references.wanted(classes, exposure.meta)
    paths = references.find(directory, exposure.meta, wanted) if directory else {}
    if from_crds:
        paths = {**crds.find(path, [name for name in wanted if name not in paths]), **paths}
    needed = {
        name: step.name
        for step in steps
        for name, need in step.reftypes().items()
        if need or references.needed(everything[name], exposure.meta)
    }
    lacks = {name: references.lacking(name, classes[name], exposure.meta, paths) for name in needed if name in classes}
    missing = [f"{lacks[name]} (for {needed[name]})" for name in sorted(lacks) if lacks[name]]
    if missing:
        places = [f"in {directory}"] * (directory is not None) + ["in CRDS"] * from_crds
        where = " or ".join(places) or "because no --refs folder was given, and no --crds,"
        raise InputError(
            f"{path}: no reference file {where} for {', '.join(missing)}; "
            "add them, give another --refs, or skip the step with --set STEP.skip=true"
        )
    return told | references.load(paths, exposure.meta, classes)


def _told(classes: Mapping[str, type], meta: ExposureMeta, path: Path) -> dict[str, Any]:
    """What needs no file: references that are made of the header's record (`from_meta`)."""
    try:
        return {name: kind.from_meta(meta) for name, kind in classes.items() if hasattr(kind, "from_meta")}
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def quiet(stage: str, done: int, total: int) -> None:
    """Progress that says nothing."""


def stage1(
    exposure: Exposure,
    recipe: Recipe,
    library: Mapping[str, Any],
    out: Path,
    progress: Progress = quiet,
    *,
    keep: bool = False,
) -> Product:
    """Ramps to rates: write `_rateints` and `_rate`, or find them finished.

    `keep` what the steps learned, and the flags that the slopes saw (a byte a sample, in a hidden file).
    """
    rateints, mean = (out / f"{exposure.root}_{name}.fits" for name in ("rateints", "rate"))
    groupdq = out / f".groupdq-{exposure.root}.npy" if keep else None
    outputs = Outputs(rateints, mean, groupdq, _origin(exposure, recipe, 1, recipe.stage1, library))
    ready = all(finished(path, outputs.made_from) for path in outputs.paths)
    sample, size = (count(exposure.meta, exposure.nints, recipe) for count in (sampled, chunked))
    known = dict(library)
    begun = outputs.checkpoint.exists()
    at_once = not ready and not begun and exposure.nints <= min(sample, size)
    if (keep or not ready) and not at_once:
        known = learned_in_parts(recipe.stage1, exposure.sample(sample), library, recipe.params, size)
    if not ready:
        known |= _rates(exposure, recipe, known, outputs, progress, learning=at_once)
        remember(outputs.paths, outputs.made_from)
    progress("stage 1", exposure.nints, exposure.nints)
    return Product(rateints, known, None if groupdq is None else np.load(groupdq, mmap_mode="r"))


def sampled(meta: ExposureMeta, nints: int, recipe: Recipe) -> int:
    """Integrations from which Stage 1 learns: all of them where a step pools the exposure."""
    if recipe.pools:
        return nints
    return min(SAMPLE, max(FEWEST, chunk_size(meta.ngroups, meta.shape, nints, SAMPLE_MB)))


def chunked(meta: ExposureMeta, nints: int, recipe: Recipe) -> int:
    """Integrations that Stage 1 takes at once."""
    return chunk_size(meta.ngroups, meta.shape, nints, POOLED_MB if recipe.pools else CHUNK_MB)


def _rates(
    exposure: Exposure,
    recipe: Recipe,
    library: Mapping[str, Any],
    outputs: Outputs,
    progress: Progress,
    *,
    learning: bool,
) -> dict[str, Any]:
    """Stage 1 chunk by chunk: one is read and one written while one is computed. What was learned on the way."""
    new: dict[str, Any] = {}
    with Sink(exposure, recipe.cards(1), outputs) as sink:
        start, leaves = (0, None) if sink.begun is None else (sink.begun.done, sink.begun.memory)

        def write(chunk: Reduced) -> None:
            progress("stage 1", sink.take(chunk), exposure.nints)

        size = chunked(exposure.meta, exposure.nints, recipe)
        with closing(ahead(exposure.chunks(size, start))) as chunks, Behind(write) as hand_on:
            for chunk in detector(recipe.stage1, chunks, library, recipe.params, leaves, learning=learning):
                new |= chunk.learned
                hand_on(chunk)
    return new


def _origin(exposure: Exposure, recipe: Recipe, stage: int, steps: tuple[Step, ...], library: Mapping[str, Any]) -> str:
    paths = [segment.path for segment in exposure.segments]
    return origin.of(paths, steps, recipe.params, library, recipe.cards(*range(1, stage + 1)))


def stage2(
    exposure: Exposure,
    recipe: Recipe,
    library: Mapping[str, Any],
    out: Path,
    progress: Progress = quiet,
    *,
    keep: bool = False,
    spectra: bool = True,
) -> Product:
    """Rates to calibrated images (`_calints`) and, unless Stage 3 is to make better ones, `spectra` (`_x1dints`).

    Of images there is photometry in Stage 3 alone.
    """
    spectra = spectra and bool(split(recipe.stage2, Spectra)[1])
    outputs = _Images(exposure, recipe, 2, recipe.stage2, out, "calints", spectra)
    return _images_to_spectra(outputs, library, progress, keep=keep)


def stage3(
    exposure: Exposure,
    recipe: Recipe,
    library: Mapping[str, Any],
    out: Path,
    progress: Progress = quiet,
    *,
    keep: bool = False,
) -> Product:
    """Calibrated images to images with outliers flagged (`_crfints`) and spectra (`_x1dints`) or photometry (`_phot`).

    Raises
    ------
    InputError
        For a single integration.
    """
    if exposure.nints < 2:
        raise InputError(f"{exposure.segments[0].path}: one integration is no time series; Stage 3 needs two or more")
    steps = split(recipe.stage3, LightCurves)[0]
    outputs = _Images(exposure, recipe, 3, steps, out, "crfints", True)
    return _images_to_spectra(outputs, library, progress, keep=keep)


class _Images(NamedTuple):
    """What a stage on images is to make of an exposure, where."""

    exposure: Exposure
    recipe: Recipe
    stage: int
    steps: tuple[Step, ...]
    out: Path
    product: str
    spectra: bool

    @property
    def photometry(self) -> bool:
        """Whether what is made of the images is photometry."""
        return bool(split(self.steps, Photometry)[1])

    @property
    def paths(self) -> list[Path]:
        """The images and, where spectra are wanted, their table."""
        table = ["phot.ecsv" if self.photometry else "x1dints.fits"] if self.spectra else []
        return [self.out / f"{self.exposure.root}_{name}" for name in (f"{self.product}.fits", *table)]


def _images_to_spectra(todo: _Images, library: Mapping[str, Any], progress: Progress, *, keep: bool) -> Product:
    """Make the products, or find them finished; `keep` what was learned and the spectra for who wants them."""
    exposure, recipe, name = todo.exposure, todo.recipe, f"stage {todo.stage}"
    made_from = _origin(exposure, recipe, todo.stage, todo.steps, library)
    ready = all(finished(path, made_from) for path in todo.paths)
    known, spectra = dict(library), None
    if keep or not ready:
        known = learned(todo.steps, exposure.rate_sample(SAMPLE), library, recipe.params)
    if not ready:
        spectra = _calibrated(todo, known, lambda done: progress(name, done, exposure.nints))
        remember(todo.paths, made_from)
    elif keep and todo.spectra:
        table = todo.paths[1]
        spectra = phot.read(table) if todo.photometry else open_exposure([table]).spectra()
        spectra = jax.tree.map(_as_computed, spectra)
    progress(name, exposure.nints, exposure.nints)
    return Product(todo.paths[0], known, spectra=spectra)


def _as_computed(leaf: jax.Array) -> jax.Array:
    """Pixels in float32 again, which the table holds in float64."""
    return leaf.astype(np.float32) if leaf.dtype == np.float64 else leaf


def _calibrated(todo: _Images, library: Mapping[str, Any], done: Callable[[int], None]) -> Spectra | None:
    """Images chunk by chunk: some are read and some written while others are computed."""
    exposure, params = todo.exposure, todo.recipe.params
    on_images, on_spectra = split(todo.steps, Spectra)
    size = chunk_size(1, exposure.meta.shape, exposure.nints, CHUNK_MB)
    if any(step.halo for step in on_images):
        chunks = neighbours(on_images, exposure.rates, exposure.nints, size, library, params)
    else:
        chunks = local(on_images, ahead(exposure.rate_chunks(size)), library, params)
    cards = todo.recipe.cards(*range(1, todo.stage + 1))
    start = next(chunks)
    like = start[2]  # the unit and the wavelengths are known once the first chunk is calibrated
    spectra: list[tuple[int, int, Spectra]] = []
    meta = _calibrated_by(library, exposure.meta) if todo.stage == 2 else exposure.meta
    once = images.shared(like)
    imputed = like.imputed is not None
    with images.writer(todo.paths[0], meta, exposure.int_times, like.unit, cards, once, imputed=imputed) as file:
        if once:
            file.write(0, **once)

        def write(first: int, count: int, rates: Rates) -> None:
            file.write(first, **images.pieces(rates, count))
            done(first + count)

        with Behind(write) as hand_on:
            for chunk in chain([start], chunks):
                hand_on(*chunk)
                if todo.spectra:
                    spectra += local(on_spectra, [chunk], library, params)
    if not todo.spectra:
        return None
    whole = join(spectra)
    write_table = phot.write if todo.photometry else x1dints.write
    write_table(todo.paths[1], whole, exposure.meta, exposure.int_times, cards)
    return whole


def _calibrated_by(library: Mapping[str, Any], meta: ExposureMeta) -> ExposureMeta:
    """The record with the area of a pixel, where the photometric calibration tells it."""
    area = getattr(library.get("photom"), "pixel_sr", None)
    if area is None or meta.geometry is None:
        return meta
    return replace(meta, geometry=replace(meta.geometry, pixel_area_sr=area, pixel_area_arcsec2=area * ARCSEC2_PER_SR))
