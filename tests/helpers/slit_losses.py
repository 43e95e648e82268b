"""PATHLOSS files, made up in the official formats: uneven in place and wavelength, with gaps, short of the light."""

from pathlib import Path

import numpy as np

import optics
from uptheramp.calibrate.io.meta import ExposureMeta


def of_slit(folder: Path, meta: ExposureMeta, slits=("S200A1", "S400A1", "S1600A1")) -> Path:
    """NIRSpec: planes of 9 x 7 places with unlike steps, that reach from -0.6 to 0.5 of the slit's width and height."""
    from stdatamodels.jwst import datamodels

    model = datamodels.PathlossModel()
    knots, rows, columns = 40, 9, 7
    for number, name in enumerate(slits):
        rng = np.random.default_rng(number)
        model.apertures.append({"name": name, "shutters": 0})
        aperture = model.apertures[-1]
        # coarse to fine, nothing smooth: an error of place or wavelength shows
        aperture.pointsource_data = np.float32(rng.uniform(0.3, 1, (knots, rows, columns)))
        aperture.pointsource_err = np.zeros((knots, rows, columns), np.float32)
        aperture.uniform_data = np.float32(rng.uniform(0.5, 1, knots + 5))
        aperture.uniform_err = np.zeros(knots + 5, np.float32)
        place, spectral = aperture.pointsource_wcs, aperture.uniform_wcs
        place.crpix1, place.crval1, place.cdelt1 = 2.0, -0.42, 0.18
        place.crpix2, place.crval2, place.cdelt2 = 1.0, -0.6, 0.1375
        place.crpix3, place.crval3, place.cdelt3 = 1.5, 3.02e-6, 2.5e-8
        spectral.crpix1, spectral.crval1, spectral.cdelt1 = 1.0, 2.9e-6, 2.7e-8
    model.meta.reftype = "PATHLOSS"
    return optics.write(model, meta, folder / "pathloss.fits")


def of_prism(folder: Path, meta: ExposureMeta) -> Path:
    """MIRI: wavelengths fall and are uneven, 11 x 13 places in pixels; a knot without a value."""
    from stdatamodels.jwst import datamodels

    rng = np.random.default_rng(5)
    knots, rows, columns = 30, 11, 13
    lam = np.sort(rng.uniform(5.0, 13.0, knots))[::-1]
    table = np.zeros(
        knots,
        [("wavelength", "f4"), ("pathloss", "f4", (rows, columns)), ("pathloss_err", "f4", (rows, columns))],
    )
    table["wavelength"], table["pathloss"] = lam, rng.uniform(1, 2, (knots, rows, columns))
    table["pathloss"][4] = np.nan
    model = datamodels.MirLrsPathlossModel(pathloss_table=table)
    where = model.meta.wcsinfo
    where.wcsaxes, where.crpix1, where.crpix2, where.crval1, where.crval2 = 2, 6.5, 4.0, -0.3, -1.1
    where.cdelt1, where.cdelt2, where.ctype1, where.ctype2, where.cunit1, where.cunit2 = (
        0.9, 0.55, "X", "Y", "pixel", "pixel",
    )  # fmt: skip
    model.meta.reftype = "PATHLOSS"
    return optics.write(model, meta, folder / "pathloss.fits")
