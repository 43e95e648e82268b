"""Spectra behind a slit: NIRSpec, pixel by pixel back to the slit.

    pixel -FPA-> metres -CAMERA-> slopes | turned to the DISPERSER | slopes <-COLLIMATOR- metres <-MSA- the slit

A pixel says in which direction light left the disperser; across the dispersion that gives the place along the slit,
from there follows the direction before it, and from both the wavelength. Places in the slit are fractions of its
width and height, from its middle.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references.optics import dispersers, trees
from uptheramp.calibrate.references.optics.directions import (
    Cosines,
    Plane,
    from_disperser,
    of_slopes,
    slopes,
    to_disperser,
)
from uptheramp.calibrate.references.optics.dispersers import Disperser
from uptheramp.calibrate.references.optics.light import Light, barycentric
from uptheramp.calibrate.references.slits import NUMBERS, of_target

# OTE and FORE lead on to the sky; where the source stands in the slit is found through them
REFTYPES = ("camera", "collimator", "disperser", "fore", "fpa", "msa", "ote", "wavelengthrange")
LAST_PX = 2047
HALF_HEIGHT = 0.55  # of the slit, that is followed: 0.5 and a margin
PLACES = 1000  # along the slit, between which the official model interpolates
EXP_TYPES = ("NRS_BRIGHTOBJ", "NRS_FIXEDSLIT")
UPSIDE_DOWN = ("NRS2",)  # chips
MARGINS_PX = (10, 2)  # along and across the dispersion, that the official cut-out leaves around the light
STEP_M = 1e-10  # in which it looks for the ends of the light
UNLISTED = -1, (0.6e-6, 5.3e-6)  # order and range (m) of a grating that WAVELENGTHRANGE lacks


@dataclass(frozen=True)
class Slit:
    """A fixed slit: where it lies on the plane of the shutters (m); `model` leads from its quadrant to the plane."""

    middle_m: tuple[float, float]
    size_m: tuple[float, float]
    model: Any

    def plane(self, across: Plane, along: Plane) -> tuple[Plane, Plane]:
        """Metres of a place in the slit."""
        (x, y), (width, height) = self.middle_m, self.size_m
        return self.model(x + width * across, y + height * along)

    def place(self, x_m: Plane, y_m: Plane) -> tuple[Plane, Plane]:
        """The place in the slit of a point on the plane."""
        x, y = self.model.inverse(x_m, y_m)
        return (x - self.middle_m[0]) / self.size_m[0], (y - self.middle_m[1]) / self.size_m[1]


@dataclass(frozen=True)
class Bench:
    """The optics of one exposure; wavelengths as the instrument sees them, metres."""

    detector: Any  # pixels of the chip to metres
    camera: Any  # metres to slopes
    collimator: Any  # slopes to metres
    disperser: Disperser
    angles_deg: tuple[float, ...]
    slit: Slit
    corner: tuple[int, int]  # of the window on the detector, 0-based
    turned: bool  # a chip that is mounted upside down
    _along: tuple[Plane, Plane] = field(init=False)

    def __post_init__(self):
        place = np.linspace(-HALF_HEIGHT, HALF_HEIGHT, PLACES)
        across = self._before(place)[1]
        rising = np.argsort(across)
        object.__setattr__(self, "_along", (across[rising], place[rising]))

    def wavelength_m(self, x: Plane, y: Plane) -> Plane:
        """Wavelength in the middle of the slit's width that falls on a pixel of the window; NaN beside the slit."""
        behind = to_disperser(of_slopes(*self.camera(*self.detector(*self._chip(x, y)))), self.angles_deg)
        along = np.interp(-behind[1], *self._along, left=np.nan, right=np.nan)
        return self.disperser.wavelength_m(self._before(along), behind[0])

    def pixel(self, wavelength_m: Plane, along: float, across: float = 0.0) -> tuple[Plane, Plane]:
        """The pixel of the window onto which light from a place in the slit falls."""
        before = self._before(np.full(wavelength_m.shape, along), across)
        behind = from_disperser(self.disperser.behind(before, wavelength_m), self.angles_deg)
        return self._window(*self.detector.inverse(*self.camera.inverse(*slopes(*behind))))

    def _before(self, along: Plane, across: float = 0.0) -> Cosines:
        """Direction of the light from the slit, as it meets the disperser."""
        plane = self.slit.plane(np.full_like(along, across), along)
        return to_disperser(of_slopes(*self.collimator.inverse(*plane)), self.angles_deg)

    def _chip(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        x, y = x + self.corner[0], y + self.corner[1]
        return (LAST_PX - x, LAST_PX - y) if self.turned else (x, y)

    def _window(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        x, y = (LAST_PX - x, LAST_PX - y) if self.turned else (x, y)
        return x - self.corner[0], y - self.corner[1]


@dataclass(frozen=True)
class Box:
    """The official cut-out: pixels `columns` and `rows` (first, first beyond) of the window, which it may overlap."""

    bench: Bench
    seen: float  # factor from the instrument's wavelengths to those that are reported
    columns: tuple[int, int]
    rows: tuple[int, int]

    def pixels(self) -> tuple[Plane, Plane]:
        """X and y of its pixels."""
        x, y = np.meshgrid(np.arange(*self.columns), np.arange(*self.rows))
        return x, y

    def middle(self) -> tuple[float, float]:
        """The middle column, and the mean wavelength (um) in it."""
        column = (self.columns[0] + self.columns[1] - 1) / 2
        rows = np.arange(*self.rows)
        return column, float(np.nanmean(self.wavelength_um(np.full(len(rows), column), rows)))

    def row(self, wavelength_um: float, place: tuple[float, float]) -> float:
        """The row in which light from a place in the slit (across, along) falls."""
        across, along = place
        wavelength = np.array([wavelength_um]) * 1e-6 / self.seen
        return float(self.bench.pixel(wavelength, along, across)[1][0])

    def wavelength_um(self, x: Plane, y: Plane) -> Plane:
        """Wavelengths as they are reported."""
        return self.bench.wavelength_m(np.asarray(x, float), np.asarray(y, float)) * self.seen * 1e6


def box(paths: Mapping[str, Path], meta: ExposureMeta) -> Box:
    """The box that the official extract_2d cuts out (jwst 3.0.0, nirspec.compute_bounding_box).

    Raises
    ------
    InputError
        For files that are no such models, a header that lacks what they need, or a slit whose light misses the window.
    """
    order, (shortest, longest) = _range(paths["wavelengthrange"], meta)
    bench, seen = _bench(paths, meta, order), barycentric(meta)
    wavelength = np.linspace(shortest, longest, int((longest - shortest) / STEP_M)) / seen
    ends = [bench.pixel(wavelength, place) for place in (-HALF_HEIGHT, HALF_HEIGHT)]
    columns, rows = (_padded(np.hstack(p), m) for p, m in zip(zip(*ends, strict=True), MARGINS_PX, strict=True))
    if rows is None or columns is None:
        raise _misses(meta)
    whole = Box(bench, seen, columns, rows)
    _, y = whole.pixels()
    lit = np.isfinite(whole.wavelength_um(*whole.pixels()))
    return replace(whole, rows=_padded(y[lit].astype(float), MARGINS_PX[1]) or rows)  # as high as the light in it


def light(paths: Mapping[str, Path], meta: ExposureMeta) -> Light:
    """Wavelengths in the box of the slit, NaN around it, as jwst 3.0.0 assign_wcs (nirspec.slits_wcs)."""
    cut = box(paths, meta)
    x, y = cut.pixels()
    image = np.full(meta.shape, np.nan)
    inside = (x < meta.x_size) & (y < meta.y_size)
    image[y[inside], x[inside]] = cut.wavelength_um(x[inside], y[inside])
    if not np.isfinite(image).any():
        raise _misses(meta)
    return Light(image, (cut.columns[0], cut.rows[0]))


def _padded(position: Plane, margin: int) -> tuple[int, int] | None:
    """First pixel of the box and first beyond it; the official one counts from 1 where it pads. None: outside."""
    if not len(position) or not np.isfinite(position).all():
        return None
    first = max(0, position.min() - 1 - margin)
    last = min(LAST_PX, position.max() - 1 + margin)
    start, stop = int(np.floor(first)), int(np.floor(last + 1))
    return (start, stop) if start < stop else None


def _misses(meta: ExposureMeta) -> InputError:
    return InputError(
        f"no light of {name(meta)} with {meta.filter} {meta.grating} falls on {meta.detector} {meta.subarray} "
        "by the optical references; give those of this exposure"
    )


def name(meta: ExposureMeta) -> str:
    """The slit of the target."""
    found = of_target(meta)
    if not found:
        named = getattr(meta.geometry, "slit", None)
        raise InputError(f"FXD_SLIT is {named}; the header must name one of {', '.join(NUMBERS)}")
    return found


def the_slit(path: Path, meta: ExposureMeta) -> Slit:
    """The target's slit, from MSA."""
    (fixed,) = trees.read(path, "Q5")
    _, x, y, width, height = fixed["data"][NUMBERS[name(meta)]]
    return Slit((float(x), float(y)), (float(width), float(height)), fixed["model"])


def _bench(paths: Mapping[str, Path], meta: ExposureMeta, order: int) -> Bench:
    (detector,) = trees.read(paths["fpa"], f"{meta.detector.lower()}_model")
    (camera,), (collimator,) = (trees.read(paths[name], "model") for name in ("camera", "collimator"))
    disperser, angles = dispersers.read(paths["disperser"], meta, order)
    corner = meta.x_start - 1, meta.y_start - 1
    slit = the_slit(paths["msa"], meta)
    return Bench(detector, camera, collimator, disperser, angles, slit, corner, meta.detector in UPSIDE_DOWN)


def _range(path: Path, meta: ExposureMeta) -> tuple[int, tuple[float, float]]:
    """Spectral order and wavelengths (m) of filter and grating; of the grating alone where the pair is not listed."""
    names, ranges, orders = trees.read(path, "waverange_selector", "wavelengthrange", "order")
    pairs, gratings = [str(n) for n in names], [str(n).split("_")[1] for n in names]
    for known, wanted in ((pairs, f"{meta.filter}_{meta.grating}"), (gratings, meta.grating)):
        if wanted in known:
            which = known.index(wanted)
            return int(orders[which]), (float(ranges[which][0]), float(ranges[which][1]))
    return UNLISTED
