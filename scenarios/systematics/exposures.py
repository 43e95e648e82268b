"""The ramps of a fit: simulated under a lamp, or read from files, and what a likelihood needs of them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Shaped

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.instruments.core import Curve
from uptheramp.calibrate.io import exposure
from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.scenarios.scenario import settings_of
from uptheramp.scenarios.systematics.fit_file import FitFile, RampsBlock
from uptheramp.simulate.observation import Observation, observe
from uptheramp.simulate.ramps import chain, lamp
from uptheramp.simulate.ramps.render import Constants, draw_chunk
from uptheramp.simulate.scene.planet import Planet
from uptheramp.simulate.scene.star import Star

OUTLIER = 6.0  # robust sigma beyond which a difference is a hit, and its integration left out in that pixel
LEAST = 5  # integrations of which a median and a scatter can tell
_FLAT = Curve((0.5, 30.0), (0.1, 0.1))
# an observation has a star and a planet; a lamp asks for neither
_NOBODY = {"star": Star(30.0), "planet": Planet(1.0, 10.0, 90.0, _FLAT, _FLAT, _FLAT, t0_bjd_tdb=0.0)}


@dataclass(frozen=True)
class RampSet:
    """One exposure of even light; `constants` is the true sensor where it was simulated."""

    observation: Observation
    data: Shaped[np.ndarray, "integration group y x"]  # DN as read
    label: str
    dark: bool
    constants: Constants | None


@dataclass(frozen=True)
class Statistics:
    """Mean differences of neighbouring groups, DN, over `count` integrations of each pixel, hits left out.

    `signal` is the mean of the first group that is used, pedestal included, DN.
    """

    mean: Float[np.ndarray, "difference y x"]
    count: Float[np.ndarray, "y x"]
    signal: Float[np.ndarray, "y x"]


def ramp_sets(file: FitFile, folder: Path) -> list[RampSet]:
    """Simulate or read every exposure of a fit.

    Raises
    ------
    InputError
        For unknown modes and effects, missing files, or files of another detector or window.
    """
    return [
        _read(file, block, folder) if block.files else _simulated(file, n, block) for n, block in enumerate(file.ramps)
    ]


def observed(file: FitFile, ngroups: int, nints: int, seed: int) -> Observation:
    """The observation of a mode with its effects as the fit switches them."""
    named = (*file.effects_on, *file.effects_off, *file.model, *file.effects)
    unknown = [n for n in named if n not in chain.EFFECTS]
    if unknown:
        raise InputError(f"unknown effect {unknown[0]!r}; known: {', '.join(chain.EFFECTS)}")
    o = observe(
        file.mode,
        ngroups=ngroups,
        nints=nints,
        subarray=file.subarray or None,
        effects=tuple({*chain.DEFAULT, *file.effects_on} - {*file.effects_off}),
        seed=seed,
        detector_seed=file.detector_seed,
        settings={name: settings_of(name, knobs, file.name) for name, knobs in file.effects.items()},
        target="LAMP",
        **_NOBODY,
    )
    if file.window is None:
        return o
    bare = replace(o.subarray, size=file.window, reference_columns=(0, 0), reference_rows=(0, 0), extra_lines=0)
    # a window larger than the mode's takes longer to read
    pixels, lines = file.window[::-1] if abs(o.readout.fast_axis) == 2 else file.window
    clocks = lines * (pixels // o.readout.outputs + bare.row_overhead_clocks)
    return replace(o, subarray=replace(bare, frame_time_s=max(bare.frame_time_s, clocks * CLOCK_S)))


def _simulated(file: FitFile, number: int, block: RampsBlock) -> RampSet:
    o = observed(file, block.ngroups, block.nints, 1000 * file.seed + number)
    constants = lamp.build(o, lamp.rate_to_fill(o, block.fill))
    return RampSet(
        o, draw_chunk(o, constants, 0, o.nints)[0], f"{block.fill:.0%} of the well", block.fill == 0, constants
    )


def _read(file: FitFile, block: RampsBlock, folder: Path) -> RampSet:
    found = exposure.open_exposure([folder / name for name in block.files])
    if found.level != "uncal":
        raise InputError(f"{block.files[0]}: a fit takes raw ramps (uncal), this is {found.level}")
    meta = found.meta
    o = observed(file, meta.ngroups, meta.nints, 0)
    if (o.detector.name, o.shape) != (meta.detector, meta.shape):
        raise InputError(
            f"{block.files[0]}: {meta.detector} {meta.subarray} {meta.shape}, "
            f"but the fit's mode {file.mode} is {o.detector.name} {o.subarray.name} {o.shape}"
        )
    return RampSet(replace(o, nints=found.nints), found.read(0, found.nints), block.files[0], block.dark, None)


def statistics(ramps: RampSet, first_group: int) -> Statistics:
    """Average the group differences of an exposure over its integrations."""
    data = ramps.data[:, first_group:].astype(float)
    differences = np.diff(data, axis=1)
    kept = clean(differences)[:, None]
    count = np.maximum(kept.sum(0), 1)
    return Statistics(
        np.where(kept, differences, 0).sum(0) / count,
        kept[:, 0].sum(0).astype(float),
        np.where(kept, data, 0).sum(0)[0] / count[0],
    )


def clean(differences: Float[np.ndarray, "integration difference y x"]) -> Bool[np.ndarray, "integration y x"]:
    """Integrations of each pixel without a difference that is OUTLIER sigma from the median over integrations."""
    if len(differences) < LEAST:
        return np.ones((len(differences), *differences.shape[2:]), bool)
    away = np.abs(differences - np.median(differences, axis=0))
    sigma = 1.4826 * np.median(away, axis=0)
    # the scatter of few integrations is itself uncertain: never below that of a typical pixel
    floor = np.median(sigma, axis=(1, 2), keepdims=True)
    return np.all(away <= OUTLIER * np.maximum(sigma, floor), axis=1)
