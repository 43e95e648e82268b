"""Reducing files: the exposure of a user, whoever made it, through the stages asked for."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.fit.spectrum import planet_spectrum
from uptheramp.calibrate.fit.system import System, load_system
from uptheramp.calibrate.io import phot, tspec, whtlt
from uptheramp.calibrate.io.exposure import LEVELS, Exposure, open_exposure
from uptheramp.calibrate.reduce import Progress, load_library, stage1, stage2, stage3
from uptheramp.calibrate.references import user_files
from uptheramp.calibrate.series import Aperture, aperture_of, bin_channels, plain_timing, timing, white
from uptheramp.calibrate.settings import recipe
from uptheramp.calibrate.state import Photometry, Spectra, take
from uptheramp.calibrate.stream import split

STAGES = {1: stage1, 2: stage2, 3: stage3}


def calibrate_files(
    files: Sequence[Path],
    out: Path,
    refs: Path | None,
    stages: Sequence[int],
    table: str,
    system: Path | None,
    overrides: Mapping[str, str],
    progress: Progress,
    *,
    from_crds: bool = False,
) -> list[Path]:
    """Reduce one exposure; returns the products written.

    Raises
    ------
    InputError
        For everything that is wrong with the input, before anything is written.
    """
    if refs is not None and not refs.is_dir():
        raise InputError(f"{refs}: no such folder; --refs takes a folder of CRDS-format reference files")
    exposure = open_exposure(files)
    meta = exposure.meta
    entry = LEVELS[exposure.level]
    todo = [stage for stage in stages if stage >= entry and exposure.level != "x1dints"]
    if not todo and system is None:
        raise InputError(
            f"{files[0]}: a {exposure.level} file enters at Stage {entry}, and --stages asks only for "
            f"{','.join(map(str, stages))}; nothing to do"
        )
    chosen = recipe(table, exposure.instrument.step_family, meta.exp_type, overrides, todo)
    _warn(exposure, todo)
    if system is not None or (3 in todo and split(chosen.stage3, Photometry)[1]):
        exposure.require_times()
    if not todo:
        return fit_series(exposure, None, load_system(str(system)), out)
    if 3 in todo and exposure.nints < 2:
        raise InputError(f"{files[0]}: one integration is no time series; run it with --stages 1,2")
    steps = tuple(step for stage in todo for step in (chosen.stage1, chosen.stage2, chosen.stage3)[stage - 1])
    library = user_files.given(chosen.params, meta) | load_library(exposure, steps, refs, from_crds=from_crds)
    known = load_system(str(system)) if system is not None else None
    products = []
    for stage in todo:
        more = {"spectra": False} if stage == 2 and 3 in todo else {}
        product = STAGES[stage](exposure, chosen, library, out, progress, **more)
        products.append(product.path)
        exposure = open_exposure([product.path])
    if known is not None:
        products += fit_series(exposure, aperture_of(library), known, out)
    return products


def fit_series(exposure: Exposure, aperture: Aperture | None, system: System, out: Path) -> list[Path]:
    """Fit the light curves of an exposure's spectra: writes the white light curve and the planet's spectrum.

    Photometry is its own white light curve: only the depth is written.

    Without an aperture (x1dints alone) all wavelengths count as read at the middle of a frame.
    """
    spectra = _spectra_of(exposure)
    kept = slice(system.bins.trim_start, exposure.nints - system.bins.trim_end)
    spectra = take(spectra, kept)
    when = plain_timing(exposure, len(spectra.wavelength_um)) if aperture is None else timing(exposure, aperture)
    if len(when.offset_s) != len(spectra.wavelength_um):
        when = plain_timing(exposure, len(spectra.wavelength_um))
    when = when._replace(time=when.time[kept])
    system.epoch_near(when.time)  # refuses another time scale before anything is fitted or written
    orders = exposure.mode.orders if exposure.mode else ()
    curves, _ = bin_channels(spectra, when, system.bins.resolving_power, system.bins.range_um, orders)
    planet, fit, _ = planet_spectrum(curves, system)
    if not bool(fit.curve.converged):
        raise InputError(
            f"{exposure.segments[0].path}: the fit of {system.name} does not converge; is it in these data?"
        )
    products = []
    if not isinstance(spectra, Photometry):
        light, numbers = white(spectra, when, system.bins.range_um)
        products = [out / f"{exposure.root}_whtlt.ecsv"]
        whtlt.write(products[0], light, numbers, exposure.int_times["int_mid_MJD_UTC"][kept], spectra.unit)
    meta = {"system": system.name, "t0_bjd_tdb": float(fit.t0), "limb_darkening": "fixed"}
    return [*products, *tspec.write(out, exposure.root, planet, meta)]


def _spectra_of(exposure: Exposure) -> Spectra:
    """Spectra of an x1dints file, or the spectra or photometry beside the images that a stage has just written."""
    if exposure.level == "x1dints":
        return exposure.spectra()
    path = exposure.segments[0].path
    beside, table = (path.with_name(f"{exposure.root}_{name}") for name in ("x1dints.fits", "phot.ecsv"))
    if table.is_file():
        return phot.read(table)
    if not beside.is_file():
        raise InputError(f"{path}: no spectra to fit; --system needs --stages up to 2 or 3, or an x1dints file")
    return open_exposure([beside]).spectra()


def _warn(exposure: Exposure, stages: Sequence[int]) -> None:
    """Say what is legal but unusual."""
    meta, path = exposure.meta, exposure.segments[0].path
    if 1 in stages and meta.ngroups <= 2:
        warnings.warn(f"{path}: {meta.ngroups} groups: the jump step cannot run", stacklevel=2)
