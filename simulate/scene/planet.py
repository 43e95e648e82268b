"""The planet and the face of its star: orbit, radius ratio and limb darkening by wavelength."""

from dataclasses import dataclass, replace
from typing import Literal

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Curve


@dataclass(frozen=True)
class Planet:
    """A planet. `t0_bjd_tdb` is BJD_TDB - 2400000.5 of a mid-transit, None for the event in the middle of the exposure.

    `u1` and `u2` are the star's quadratic limb darkening, needed where the star has no law of its own. `day` and
    `night` are the fluxes of the whole day and night side over the star's; `event` is what `t0_bjd_tdb = None` puts in
    the middle.
    """

    period_d: float
    a_rs: float
    inclination_deg: float
    radius_ratio: Curve
    u1: Curve | None = None
    u2: Curve | None = None
    t0_bjd_tdb: float | None = None
    eccentricity: float = 0.0
    omega_deg: float = 90.0
    day: Curve | None = None
    night: Curve | None = None
    hotspot_offset_deg: float = 0.0  # eastward of noon
    event: Literal["transit", "eclipse"] = "transit"

    def __post_init__(self):
        if min(self.radius_ratio.y) < 0:
            raise InputError("planet.radius_ratio is negative somewhere; a transit depth cannot be below zero")
        if self.period_d <= 0 or self.a_rs <= 1:
            raise InputError("planet: period_d must be positive and a_rs above 1")
        if self.night is not None and self.day is None:
            raise InputError("planet.night without planet.day: give the day side too")
        if min((*(self.day.y if self.day else ()), *(self.night.y if self.night else ())), default=0.0) < 0:
            raise InputError("planet.day or planet.night is negative somewhere; no planet shines with less than 0")
        if not 0 <= self.eccentricity < 1:
            raise InputError(f"planet.eccentricity = {self.eccentricity} is not in [0, 1)")

    def compressed(self, factor: float) -> "Planet":
        """Return the same transit, `factor` times faster (the period is divided; a/R* and the geometry stay)."""
        return replace(self, period_d=self.period_d / factor)

    @property
    def impact(self) -> float:
        """Impact parameter at mid-transit, stellar radii."""
        e, w = self.eccentricity, np.radians(self.omega_deg)
        return float(self.a_rs * np.cos(np.radians(self.inclination_deg)) * (1 - e**2) / (1 + e * np.sin(w)))

    @property
    def duration_d(self) -> float:
        """T14 in days at the mean radius ratio, with the speed at mid-transit."""
        e, w = self.eccentricity, np.radians(self.omega_deg)
        half = np.sqrt(max((1 + np.mean(self.radius_ratio.y)) ** 2 - self.impact**2, 0.0)) / self.a_rs
        sine = min(half / np.sin(np.radians(self.inclination_deg)), 1.0)
        return float(self.period_d / np.pi * np.arcsin(sine) * np.sqrt(1 - e**2) / (1 + e * np.sin(w)))


class Orbit(eqx.Module):
    """The numbers of an orbit as JAX sees them; `t0_s` counts from the start of the exposure."""

    period_s: Float[Array, ""]
    t0_s: Float[Array, ""]
    a_rs: Float[Array, ""]
    inclination_rad: Float[Array, ""]
    eccentricity: Float[Array, ""]
    omega_rad: Float[Array, ""]


def orbit(planet: Planet, start_bjd_tdb: float) -> Orbit:
    """Return the orbit with times in seconds from `start_bjd_tdb` (float64)."""
    assert planet.t0_bjd_tdb is not None  # an observation puts None in its middle
    t0 = (planet.t0_bjd_tdb - start_bjd_tdb) * 86400.0
    angles = np.radians(planet.inclination_deg), np.radians(planet.omega_deg)
    values = planet.period_d * 86400.0, t0, planet.a_rs, angles[0], planet.eccentricity, angles[1]
    return Orbit(*(np.float64(v) for v in values))


def on_grid(curve: Curve, wavelength_um: Float[np.ndarray, "wavelength"]) -> Float[np.ndarray, "wavelength"]:
    """Return a curve of wavelength, linear between its knots and constant beyond them."""
    return np.interp(wavelength_um, curve.x, curve.y)
