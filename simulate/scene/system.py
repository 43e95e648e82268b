"""The star and planets of an observation as a light curve on a wavelength grid."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate.errors import InputError
from uptheramp.simulate.scene import limb_darkening, planet, spots, variability
from uptheramp.simulate.scene.emission import Emission
from uptheramp.simulate.scene.light_curve import Body, LightCurve
from uptheramp.simulate.scene.limb_darkening import LimbDarkening
from uptheramp.simulate.scene.planet import Planet
from uptheramp.simulate.scene.star import Star

if TYPE_CHECKING:
    from uptheramp.simulate.observation import Observation

# of a wavelength grid (um) and of when each wavelength is read in its frame (s)
CurveOf = Callable[[Float[np.ndarray, "wavelength"], Float[np.ndarray, "wavelength"]], LightCurve]


def steady(
    wavelength_um: Float[np.ndarray, "wavelength"], read_offset_s: Float[np.ndarray, "wavelength"]
) -> LightCurve:
    """Return the light curve of a star that nothing happens to."""
    return LightCurve((), np.zeros((1, len(wavelength_um))), None, None, read_offset_s)


def light_curve_of(
    observation: "Observation",
    wavelength_um: Float[np.ndarray, "wavelength"],
    read_offset_s: Float[np.ndarray, "wavelength"],
) -> LightCurve:
    """Return everything the flux depends on, in numpy; `read_offset_s` is when each wavelength is read in its frame."""
    o, lam = observation, wavelength_um
    u = limb_darkening.polynomial(law_of(o.star, o.planet), lam)
    return LightCurve(
        bodies=tuple(_body(p, o.start_bjd_tdb, lam) for p in (o.orbit_planet, *o.orbit_companions)),
        u=u,
        spots=spots.spots(o.spots, o.star.teff_k, u, lam) if o.spots else None,
        variability=variability.read(o.variability, o.start_bjd_tdb, lam) if o.variability else None,
        read_offset_s=read_offset_s,
    )


def law_of(star: Star, planet: Planet) -> LimbDarkening:
    """Return the star's limb darkening: its own law, or the quadratic one that the planet's u1 and u2 give.

    Raises
    ------
    InputError
        Where there is neither.
    """
    if star.limb_darkening is not None:
        return star.limb_darkening
    if planet.u1 is None or planet.u2 is None:
        raise InputError("no limb darkening: give [star.limb_darkening], or planet.u1 and planet.u2")
    return LimbDarkening("quadratic", (planet.u1, planet.u2))


def _body(p: Planet, start_bjd_tdb: float, lam: np.ndarray) -> Body:
    emission = None
    if p.day is not None:
        day = planet.on_grid(p.day, lam)
        night = np.zeros_like(day) if p.night is None else planet.on_grid(p.night, lam)
        emission = Emission(day, night, np.float64(np.radians(p.hotspot_offset_deg)))
    return Body(planet.orbit(p, start_bjd_tdb), planet.on_grid(p.radius_ratio, lam), emission)
