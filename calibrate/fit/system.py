"""What is known beforehand of a planet and its star: the table that `--system` reads."""

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate import tables
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Sourced

SYSTEMS = files("uptheramp.calibrate.fit") / "systems"
LARGEST_EPOCH_DIFFERENCE_D = 1e5  # beyond it the time scales differ (BJD against MJD is 2.4e6 d)


@dataclass(frozen=True, kw_only=True)
class LimbDarkening(Sourced):
    """Quadratic law I(mu) / I(1) = 1 - u1 (1 - mu) - u2 (1 - mu)^2, tabulated against wavelength (ascending)."""

    wavelength_um: tuple[float, ...]
    u1: tuple[float, ...]
    u2: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse columns that are not one table."""
        if not len(self.wavelength_um) == len(self.u1) == len(self.u2) > 0:
            raise ValueError("wavelength_um, u1 and u2 need the same number of values")
        if any(b <= a for a, b in zip(self.wavelength_um, self.wavelength_um[1:], strict=False)):
            raise ValueError("wavelength_um must ascend")

    def at(self, wavelength_um: Float[np.ndarray, "channel"]) -> Float[np.ndarray, "channel 2"]:
        """Return (u1, u2), linear between the knots and constant beyond them; the mean where wavelength is NaN."""
        curves = [
            np.where(np.isfinite(wavelength_um), np.interp(wavelength_um, self.wavelength_um, u), np.mean(u))
            for u in (self.u1, self.u2)
        ]
        return np.stack(curves, axis=-1)


@dataclass(frozen=True, kw_only=True)
class Priors:
    """Standard deviations of Gaussian priors about the table's values; `inf` is no prior."""

    t0_sigma_d: float = float("inf")
    a_rs_sigma: float = float("inf")
    impact_sigma: float = float("inf")
    limb_darkening_sigma: float = float("inf")  # of u1 and of u2


@dataclass(frozen=True, kw_only=True)
class Bins:
    """How spectra become light curves: channels of one resolving power inside a range, integrations left out."""

    resolving_power: float = 100.0
    range_um: tuple[float, float] = (0.0, float("inf"))
    trim_start: int = 0  # integrations left out at the beginning
    trim_end: int = 0  # and at the end

    def __post_init__(self):
        if self.resolving_power <= 0.5 or self.trim_start < 0 or self.trim_end < 0:
            raise ValueError("bins: resolving_power must be above 0.5, trim_start and trim_end not negative")


@dataclass(frozen=True, kw_only=True)
class System(Sourced):
    """Orbit and shape of a transiting planet; `t0_bjd_tdb` is BJD_TDB - 2400000.5 d at inferior conjunction."""

    name: str
    period_d: float
    t0_bjd_tdb: float
    a_rs: float  # semi-major axis / stellar radius
    inclination_deg: float
    rp_rs: float  # planet radius / stellar radius
    limb_darkening: LimbDarkening
    eccentricity: float = 0.0
    omega_deg: float = 90.0  # argument of periastron of the star's orbit seen from it, as published
    priors: Priors = field(default_factory=Priors)
    bins: Bins = field(default_factory=Bins)

    def __post_init__(self) -> None:
        """Refuse what no orbit has."""
        if self.t0_bjd_tdb > 1e6:
            raise ValueError("t0_bjd_tdb is BJD_TDB - 2400000.5: subtract 2400000.5")
        if not (self.period_d > 0 and self.a_rs > 1 and 0 <= self.eccentricity < 1 and self.rp_rs > 0):
            raise ValueError("needs period_d > 0, a_rs > 1, 0 <= eccentricity < 1, rp_rs > 0")

    @property
    def impact(self) -> float:
        """Impact parameter of the transit, in stellar radii: a cos i (1 - e^2) / (1 + e sin omega)."""
        e, omega = self.eccentricity, np.deg2rad(self.omega_deg)
        return float(self.a_rs * np.cos(np.deg2rad(self.inclination_deg)) * (1 - e**2) / (1 + e * np.sin(omega)))

    def epoch_near(self, time: Float[np.ndarray, "time"]) -> float:
        """Find the conjunction nearest to the middle of `time` (BJD_TDB - 2400000.5 d).

        Raises
        ------
        InputError
            If times and ephemeris differ by more than 1e5 d: they cannot be on one scale.
        """
        middle = 0.5 * (np.nanmin(time) + np.nanmax(time))
        if abs(middle - self.t0_bjd_tdb) > LARGEST_EPOCH_DIFFERENCE_D:
            raise InputError(
                f"{self.name}: times about {middle:.1f} and t0_bjd_tdb {self.t0_bjd_tdb:.1f} differ by more than "
                f"{LARGEST_EPOCH_DIFFERENCE_D:.0e} d; give both as BJD_TDB - 2400000.5"
            )
        return self.t0_bjd_tdb + round((middle - self.t0_bjd_tdb) / self.period_d) * self.period_d


def load_system(name: str) -> System:
    """Read a system's TOML: a file, or the name of one that comes with the package ("wasp-39b").

    Raises
    ------
    InputError
        If there is no such file or name (the known names are listed), or the file is not a system.
    """
    shipped = {entry.name.removesuffix(".toml"): entry for entry in SYSTEMS.iterdir() if entry.name.endswith(".toml")}
    if name in shipped:
        return tables.load(shipped[name], System)
    if name and Path(name).exists():
        return tables.load(name, System)
    known = ", ".join(sorted(shipped))
    raise InputError(f"--system {name or '(none)'}: give a TOML file with the orbit, or one of {known}")
