"""An exposure to be simulated: of what, with what, how read, with which effects."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.instruments.core import (
    Detector,
    Instrument,
    Mode,
    Readout,
    ReadPattern,
    Subarray,
    readout_of,
)
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.io.times import DAY_S
from uptheramp.simulate.optics.alignment import Alignment, aligned
from uptheramp.simulate.ramps import chain
from uptheramp.simulate.ramps.geometry import geometry
from uptheramp.simulate.ramps.multiaccum import reads_per_integration
from uptheramp.simulate.scene.field import FieldStar
from uptheramp.simulate.scene.planet import Planet
from uptheramp.simulate.scene.spots import Spot
from uptheramp.simulate.scene.star import Star

START_BJD_TDB = 59787.0  # - 2400000.5 d: a night in July 2022
TDB_MINUS_UTC_S = 69.184


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One exposure. `compression` divides the orbital period and nothing else; detector clocks stay real.

    `seed` is of the noise; `detector_seed` picks the sensor (flat, bias, bad pixels, ...).
    """

    instrument: Instrument
    mode: Mode
    detector: Detector
    subarray: Subarray
    pattern: ReadPattern
    ngroups: int
    nints: int
    start_bjd_tdb: float  # BJD_TDB - 2400000.5 d of the start of the first integration
    star: Star
    planet: Planet
    background_scale: float
    effects: tuple[str, ...]
    seed: int
    detector_seed: int
    compression: float
    target: str
    companions: tuple[Planet, ...] = ()
    spots: tuple[Spot, ...] = ()
    variability: Path | None = None  # a user's light curve of the star, see scene/variability.py
    field_stars: tuple[FieldStar, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)  # knobs that are turned, by the name of the effect
    antithetic: bool = False  # every normal deviate with the other sign: halves of a pair cancel their noise

    @cached_property
    def readout(self) -> Readout:
        """How the exposure is read."""
        return readout_of(self.subarray, self.pattern, self.detector, self.ngroups)

    def settings_of(self, name: str) -> Any:
        """Return the knobs of an effect that has some."""
        kind = chain.EFFECTS[name].settings
        assert kind is not None
        return self.settings.get(name, kind())

    @property
    def subpixel(self) -> float:
        """How uneven pixels respond inside; 0 is even (optics/subpixel.py)."""
        return self.settings_of("flat").subpixel if "flat" in self.effects else 0.0

    @property
    def root(self) -> str:
        """What the names of the exposure's files begin with."""
        return self.mode.name

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x) of an image."""
        x, y = self.subarray.size
        return y, x

    @property
    def reads_per_integration(self) -> int:
        """Frames clocked in an integration."""
        return reads_per_integration(self.readout)

    @property
    def cadence_s(self) -> float:
        """From the start of an integration to the start of the next."""
        return (self.reads_per_integration + self.pattern.reset_frames) * self.subarray.frame_time_s

    @property
    def duration_s(self) -> float:
        """From the start of the first integration to the end of the last."""
        return self.nints * self.cadence_s - self.pattern.reset_frames * self.subarray.frame_time_s

    @property
    def interleaved(self) -> bool:
        """Whether the outputs read every n-th pixel of a line instead of stripes."""
        return self.detector.kind == "SiAs"

    @property
    def start_mjd_utc(self) -> float:
        """UTC of the start; the light-travel time to the barycentre is left out."""
        return self.start_bjd_tdb - TDB_MINUS_UTC_S / DAY_S

    @property
    def orbit_planet(self) -> Planet:
        """The planet as it moves here, with the period divided by the compression."""
        return self.planet.compressed(self.compression)

    @property
    def orbit_companions(self) -> tuple[Planet, ...]:
        """The other planets, with period and distance in time from the first one's event divided likewise."""
        assert self.planet.t0_bjd_tdb is not None
        first, factor = self.planet.t0_bjd_tdb, self.compression
        later = (0.0 if p.t0_bjd_tdb is None else p.t0_bjd_tdb - first for p in self.companions)
        pairs = zip(self.companions, later, strict=True)
        return tuple(replace(p.compressed(factor), t0_bjd_tdb=first + after / factor) for p, after in pairs)

    def int_start(self) -> np.ndarray:
        """BJD_TDB - 2400000.5 d of the start of each integration."""
        return self.start_bjd_tdb + np.arange(self.nints) * self.cadence_s / DAY_S

    @cached_property
    def meta(self) -> ExposureMeta:
        """The header record of the exposure."""
        r, s, m = self.readout, self.subarray, self.mode
        return ExposureMeta(
            instrument=self.instrument.name,
            detector=self.detector.name,
            exp_type=m.exp_type,
            subarray=s.name,
            x_start=s.start[0],
            y_start=s.start[1],
            x_size=s.size[0],
            y_size=s.size[1],
            fast_axis=r.fast_axis,
            slow_axis=r.slow_axis,
            pattern=self.pattern.name,
            nints=self.nints,
            ngroups=self.ngroups,
            nframes=r.nframes,
            groupgap=r.groupgap,
            frame_divisor=r.frame_divisor,
            outputs=r.outputs,
            frame_time_s=s.frame_time_s,
            group_time_s=r.frames_per_group * s.frame_time_s,
            start_mjd=self.start_mjd_utc,
            filter=m.filter,
            pupil=m.pupil,
            grating=m.grating,
            channel=m.channel,
            module=m.module,
            target=self.target,
            geometry=geometry(self),
        )


def observe(
    mode_name: str,
    *,
    ngroups: int,
    nints: int,
    star: Star,
    planet: Planet,
    subarray: str | None = None,
    pattern: str | None = None,
    outputs: int | None = None,
    seed: int = 0,
    detector_seed: int = 0,
    effects: tuple[str, ...] | None = None,
    companions: tuple[Planet, ...] = (),
    spots: tuple[Spot, ...] = (),
    variability: Path | None = None,
    field_stars: tuple[FieldStar, ...] = (),
    alignment: Alignment = Alignment(),
    settings: Mapping[str, Any] | None = None,
    background_scale: float = 1.0,
    compression: float | None = 1.0,
    start_bjd_tdb: float = START_BJD_TDB,
    target: str = "SIMULATED",
) -> Observation:
    """Return an observation of a mode with what its table says for the rest.

    Parameters
    ----------
    effects
        Names of the effects that are on, as far as the detector has them; None for all that are on by default.
    settings
        Knobs by the name of the effect: an instance of its `settings` class; the defaults where there is none.
    compression
        Divides the orbital period; None chooses it so that T14 is 48 % of the exposure.

    Raises
    ------
    InputError
        For names that do not exist, zero or too many groups, zero integrations, no light to disperse.
    """
    instrument, mode = lookup.find_mode(mode_name)
    window = lookup.window(instrument, mode, subarray or "", outputs)
    read = lookup.pattern(instrument, pattern or mode.patterns[0])
    if read.name not in mode.patterns:
        raise InputError(f"mode {mode.name} is not read with {read.name}; its patterns: {', '.join(mode.patterns)}")
    _check_counts(ngroups, nints, read)
    placed = aligned(lookup.placed(instrument, mode, window), alignment)
    if not placed.orders and placed.image is None:
        raise InputError(f"mode {mode.name} has no light in {window.name}; choose another subarray")
    on = chain.DEFAULT if effects is None else tuple(name for name in chain.EFFECTS if name in effects)
    unknown = [name for name in (*(effects or ()), *(settings or {})) if name not in chain.EFFECTS]
    if unknown:
        raise InputError(f"unknown effects: {', '.join(unknown)}; known: {', '.join(chain.EFFECTS)}")
    if background_scale < 0 or (compression is not None and compression <= 0):
        raise InputError("background_scale must not be negative, compression must be positive")
    chip = lookup.detector(instrument, mode.detector)
    out = Observation(
        instrument=instrument,
        mode=placed,
        detector=chip,
        subarray=window,
        pattern=read,
        ngroups=ngroups,
        nints=nints,
        start_bjd_tdb=start_bjd_tdb,
        star=star,
        planet=planet,
        background_scale=background_scale,
        effects=tuple(name for name in on if chain.EFFECTS[name].exists(chip)),
        companions=companions,
        spots=spots,
        variability=variability,
        field_stars=field_stars,
        settings=dict(settings or {}),
        seed=seed,
        detector_seed=detector_seed,
        compression=1.0 if compression is None else compression,
        target=target,
    )
    if compression is None:
        out = replace(out, compression=planet.duration_d * DAY_S / (0.48 * out.duration_s))
    return centred(out)


def centred(observation: Observation) -> Observation:
    """Return the observation with the event of a planet without `t0_bjd_tdb` in its middle."""
    o, planet = observation, observation.planet
    if planet.t0_bjd_tdb is not None:
        return o
    middle = o.start_bjd_tdb + o.duration_s / 2 / DAY_S
    # of a circular orbit; an eccentric one has its eclipse elsewhere
    half = o.orbit_planet.period_d / 2 if planet.event == "eclipse" else 0.0
    return replace(o, planet=replace(planet, t0_bjd_tdb=middle - half))


def _check_counts(ngroups: int, nints: int, pattern: ReadPattern) -> None:
    if ngroups < 1 or nints < 1:
        raise InputError(f"{ngroups} groups and {nints} integrations: both must be at least 1")
    if ngroups > pattern.max_groups:
        raise InputError(f"{ngroups} groups; {pattern.name} allows {pattern.max_groups}")
