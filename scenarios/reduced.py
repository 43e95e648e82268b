"""One exposure from its files to the planet's spectrum, with what the judge and the report want of the way there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from uptheramp.calibrate import flags
from uptheramp.calibrate.fit.channels import ChannelFit
from uptheramp.calibrate.fit.spectrum import planet_spectrum
from uptheramp.calibrate.fit.system import System
from uptheramp.calibrate.fit.white import WhiteFit
from uptheramp.calibrate.io import tspec, whtlt
from uptheramp.calibrate.io.exposure import Exposure, open_exposure
from uptheramp.calibrate.reduce import Progress, load_library, stage1, stage2, stage3
from uptheramp.calibrate.series import Binning, Timing, aperture_of, bin_channels, timing, white
from uptheramp.calibrate.settings import Recipe, recipe
from uptheramp.calibrate.state import LightCurves, Photometry, PlanetSpectrum, Spectra


@dataclass(frozen=True)
class Reduced:
    """What a reduction leaves.

    `outliers` is the crfints product (None where no file was written), `groupdq` the flags that the slopes saw, `lost`
    the pixels that gave no light at any time.
    """

    exposure: Exposure
    recipe: Recipe
    library: dict[str, Any]
    groupdq: np.ndarray
    outliers: Exposure | None
    lost: Bool[np.ndarray, "y x"]
    spectra: Spectra
    when: Timing
    binning: Binning
    curves: LightCurves


@dataclass(frozen=True)
class Fitted:
    """The planet's spectrum and the fits it comes from."""

    planet: PlanetSpectrum
    white: WhiteFit
    channels: ChannelFit


def reduce_exposure(
    files: list[Path],
    out: Path,
    refs: Path,
    table: str,
    overrides: Mapping[str, str],
    resolving_power: float,
    range_um: tuple[float, float],
    progress: Progress,
) -> Reduced:
    """Take an uncal exposure through all stages to light curves; writes every product that is not there yet."""
    exposure = open_exposure(files)
    chosen = recipe(table, exposure.instrument.step_family, exposure.meta.exp_type, overrides)
    library = load_library(exposure, chosen.stage1 + chosen.stage2 + chosen.stage3, refs)
    one = stage1(exposure, chosen, library, out, progress, keep=True)
    two = stage2(open_exposure([one.path]), chosen, one.library, out, progress, keep=True, spectra=False)
    three = stage3(open_exposure([two.path]), chosen, two.library, out, progress, keep=True)
    spectra = three.spectra
    assert spectra is not None  # they were kept
    outliers = open_exposure([three.path])
    aperture = aperture_of(library)
    assert aperture is not None  # no spectra without one
    when = timing(outliers, aperture)
    orders = exposure.mode.orders if exposure.mode else ()
    curves, binning = bin_channels(spectra, when, resolving_power, range_um, orders)
    if not isinstance(spectra, Photometry):
        light, numbers = white(spectra, when, range_um)
        path = out / f"{exposure.root}_whtlt.ecsv"
        whtlt.write(path, light, numbers, exposure.int_times["int_mid_MJD_UTC"], spectra.unit)
    return Reduced(
        exposure=exposure,
        recipe=chosen,
        library=three.library,
        groupdq=one.groupdq,
        outliers=outliers,
        lost=never_used(outliers),
        spectra=spectra,
        when=when,
        binning=binning,
        curves=curves,
    )


def never_used(images: Exposure) -> Bool[np.ndarray, "y x"]:
    """Pixels that are DO_NOT_USE throughout the first integrations."""
    dq = np.asarray(images.rates(0, min(8, images.nints)).dq)
    return np.bitwise_and.reduce(dq & flags.DO_NOT_USE, axis=0).astype(bool)


def fit_planet(curves: LightCurves, system: System, limb_darkening: str, degree: int) -> Fitted:
    """Fit the channels with the orbit of the system."""
    return Fitted(*planet_spectrum(curves, system, limb_darkening=limb_darkening, degree=degree))


def write_planet(out: Path, root: str, fitted: Fitted, system: System, limb_darkening: str) -> None:
    """Write `_tspec.ecsv` and `_tspec.fits`."""
    meta = {"system": system.name, "limb_darkening": limb_darkening, "t0_bjd_tdb": float(fitted.white.t0)}
    tspec.write(out, root, fitted.planet, meta)
