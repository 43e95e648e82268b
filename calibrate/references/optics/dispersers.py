"""DISPERSER: the grating or the prism on the wheel, and how it stands.

With a, b the cosines of the incoming direction along and across the dispersion, a' those of the outgoing one, all in
the frame of the front surface, m the order, d the groove density and A the apex angle:

    grating   wavelength = -(a + a') / (m d)
    prism     n(wavelength)^2 = ((a' + a cos 2A) / sin 2A)^2 + a^2 + b^2

The second is Snell's law at the front surface, reflection at the back one, and the front surface again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references.optics import trees
from uptheramp.calibrate.references.optics.directions import Cosines, Plane, forward
from uptheramp.calibrate.references.optics.light import needed

ARCSEC_PER_DEG = 3600.0
INDEX_UM = np.arange(0.3, 8.005, 0.005)  # at which the official model tabulates the refractive index, to invert it


class Disperser(Protocol):
    """What turns a direction by wavelength (m)."""

    def wavelength_m(self, before: Cosines, along: Plane) -> Plane:
        """The wavelength that leaves with the cosine `along` the dispersion."""
        ...

    def behind(self, before: Cosines, wavelength_m: Plane) -> Cosines:
        """The direction in which a wavelength leaves."""
        ...


@dataclass(frozen=True)
class Grating:
    """Grooves per metre and the order."""

    grooves_per_m: float
    order: int

    def wavelength_m(self, before: Cosines, along: Plane) -> Plane:
        """By the grating equation."""
        return -(before[0] + along) / (self.grooves_per_m * self.order)

    def behind(self, before: Cosines, wavelength_m: Plane) -> Cosines:
        """By the grating equation."""
        return forward(-before[0] - self.grooves_per_m * self.order * wavelength_m, -before[1])


@dataclass(frozen=True)
class Prism:
    """Apex angle and glass; `glass` are the arguments of the Sellmeier equation."""

    apex_deg: float
    temperature_k: float
    glass: Mapping[str, Any]

    def index(self, wavelength_m: Plane) -> Plane:
        """Refractive index, by the official equation of the glass at the temperature of the wheel."""
        from stdatamodels.jwst.transforms.models import Snell

        return Snell.compute_refraction_index(wavelength_m, self.temperature_k, **self.glass)

    @cached_property
    def _table(self) -> tuple[Float[np.ndarray, "knot"], Float[np.ndarray, "knot"]]:
        """Index, rising, and wavelength."""
        wavelength = INDEX_UM[::-1] * 1e-6
        return self.index(wavelength), wavelength

    @property
    def _twice(self) -> float:
        return 2 * np.deg2rad(self.apex_deg)

    def wavelength_m(self, before: Cosines, along: Plane) -> Plane:
        """From the index, between the knots of the table in straight lines as the official model has it."""
        a, b, _ = before
        index = np.sqrt(((along + a * np.cos(self._twice)) / np.sin(self._twice)) ** 2 + a**2 + b**2)
        return np.interp(index, *self._table, left=np.nan, right=np.nan)

    def behind(self, before: Cosines, wavelength_m: Plane) -> Cosines:
        """By Snell's law."""
        a, b, _ = before
        inside = np.sqrt(self.index(wavelength_m) ** 2 - a**2 - b**2)
        return forward(np.sin(self._twice) * inside - np.cos(self._twice) * a, -b)


def read(path: Path, meta: ExposureMeta, order: int) -> tuple[Disperser, tuple[float, ...]]:
    """The disperser of an exposure, and the angles (deg) of its mounting, moved as the wheel's sensors say."""
    x, y, z, tilt, by_x, by_y = trees.read(path, "theta_x", "theta_y", "theta_z", "tilt_y", "gwa_tiltx", "gwa_tilty")
    # the sensors are called after the axis along which they look, not that about which the wheel turns
    geometry = meta.geometry
    angles = (
        x + _moved(by_y, getattr(geometry, "grating_wheel_y", None)),
        y + _moved(by_x, getattr(geometry, "grating_wheel_x", None)),
        z,
        tilt,
    )
    make = KINDS.get(meta.grating, _grating)
    return make(path, meta, order), angles


def _grating(path: Path, meta: ExposureMeta, order: int) -> Grating:
    (grooves,) = trees.read(path, "groovedensity")
    return Grating(float(grooves), order)


def _prism(path: Path, meta: ExposureMeta, order: int) -> Prism:
    apex, *glass = trees.read(path, "angle", "tref", "pref", "kcoef", "lcoef", "tcoef")
    names = ("tref", "pref", "kcoef", "lcoef", "tcoef")
    # parity: the official model has the pressure of the reference, not that of space
    glass = dict(zip(names, glass, strict=True)) | {"pressure": glass[1]}
    return Prism(float(apex), needed(meta, "grating_wheel_k", "GWA_TILT"), glass)


KINDS = {"PRISM": _prism}  # by GRATING; the others are gratings


def _moved(sensor: Mapping[str, Any], reading: float | None) -> float:
    """Degrees by which the mirror turned, half as much as the light; 0 where there is no reading."""
    if reading is None:
        return 0.0
    model = sensor["tilt_model"]
    return 0.5 * float(model(reading) - model(sensor["zeroreadings"][0])) / ARCSEC_PER_DEG
