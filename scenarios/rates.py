"""A task of level "rate": a constant source through Stage 1, slopes against the true mean rate.

Every mode that can be simulated can be asked this, those without a spectrum or a Stage 2 too. The star is alone,
so that the true rate of a pixel is the same in every integration. Nothing is written to disk.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from uptheramp.calibrate import flags
from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.io.exposure import Exposure, Segment
from uptheramp.calibrate.io.times import group_times_s
from uptheramp.calibrate.reduce import chunked, reftypes, sampled
from uptheramp.calibrate.settings import Recipe, recipe
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.stream import detector, learned_in_parts
from uptheramp.scenarios.recover import Answer
from uptheramp.scenarios.scenario import observation_of
from uptheramp.scenarios.task import Asked, Task, seeded
from uptheramp.simulate import truth
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps import clock, level1b, references
from uptheramp.simulate.ramps.render import Constants, build
from uptheramp.validate.channel_limits import pixel_variance
from uptheramp.validate.rate_records import by_class, rate_records

FLUX_EDGES = np.array([0.0, 1e2, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5])  # e- that a ramp collects
Images = Float[ndarray, "integration y x"]
DEPTH_EDGES = np.array([0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0])  # last usable signal over saturation
UNUSABLE = flags.DO_NOT_USE | flags.SATURATED | flags.JUMP_DET


def answers(task: Task) -> list[Answer]:
    """Render the exposure once; take it through Stage 1 for each case."""
    first = task.asked[0]
    observation = replace(constant(observation_of(seeded(first, task.seed), first.block)), antithetic=task.mirror)
    constants = build(observation)
    size = level1b.chunk_size(observation)
    data = np.concatenate([data for _, data, _ in level1b.chunks(observation, constants, size)])
    nothing = np.zeros((observation.nints, 1, 1))
    true = truth.of(observation, constants, nothing, nothing, truth.no_cosmic_rays())
    return [_answer(asked, observation, constants, data, true) for asked in task.asked]


def constant(observation: Observation) -> Observation:
    """The same exposure of a star without planets, spots or variability."""
    curve = observation.planet.radius_ratio
    dark = replace(observation.planet, radius_ratio=replace(curve, y=(0.0,) * len(curve.y)), day=None, night=None)
    return replace(observation, planet=dark, companions=(), spots=(), variability=None)


def rate_recipe(asked: Asked, observation: Observation) -> Recipe:
    """The Stage 1 of a case."""
    choices, mode = asked.scenario.reduction, observation.mode
    return recipe(choices.table, observation.instrument.step_family, mode.exp_type, choices.parameters, (1,))


def _answer(asked: Asked, observation: Observation, constants: Constants, data: ndarray, true: truth.Truth) -> Answer:
    chosen = rate_recipe(asked, observation)
    grade = asked.scenario.reduction.references
    library = references.make(observation, constants, grade, only=asked.scenario.reduction.wrong)
    meta = observation.meta
    instrument, mode, subarray = lookup.match(meta)
    segment = Segment(Path("memory_uncal.fits"), meta, "uncal", clock.int_times(observation))
    exposure = Exposure((segment,), instrument, mode, subarray)
    taken = {name: library[name] for name in reftypes(chosen.stage1) if name in library}
    slope, error, groupdq = _stage1(exposure, chosen, taken, data)
    gain, frame_s = true.gain, observation.subarray.frame_time_s
    good = (groupdq & UNUSABLE) == 0
    variance = [pixel_variance(true.rate_e_per_s, true.read_noise_e, exposure.readout, frame_s, g) for g in good]
    bound = np.sqrt(np.stack(variance))
    ramp_s = float(group_times_s(meta)[-1])
    lit = (true.star_e_per_s > 0) & (true.rate_e_per_s > 0)
    light = true.rate_e_per_s - (true.dark_e_per_s if "dark" in observation.effects else 0)  # what slopes hold
    records = rate_records(slope * gain, error * gain, light, bound, ramp_s, lit)
    collected = np.broadcast_to(np.where(lit, light * ramp_s, np.nan), slope.shape)
    full = np.asarray(library["saturation"].data) - true.bias_dn
    last = (_last_usable(data, good) - true.bias_dn) / np.where(full > 0, full, np.nan)
    classes = {
        "flux": (collected, FLUX_EDGES),
        "groups": (np.where(lit, good.sum(1), np.nan), np.arange(1.0, meta.ngroups + 2)),
        "saturation": (np.where(lit, last, np.nan), DEPTH_EDGES),
    }
    return Answer(records, by_class(slope * gain, light, bound, classes), grade)


def _stage1(
    exposure: Exposure, chosen: Recipe, library: dict, data: ndarray
) -> tuple[Images, Images, UInt8[ndarray, "integration group y x"]]:
    """Slopes, their errors (DN/s) and the flags they saw, in padded chunks of one shape."""
    meta, nints = exposure.meta, exposure.nints
    picks = np.unique(np.linspace(0, nints - 1, min(sampled(meta, nints, chosen), nints)).round().astype(int))

    def read(first: int, count: int) -> Ramps:
        part = picks[first : first + count]
        return exposure.ramps(data[part], part, np.ones(len(part), bool))

    size = chunked(meta, nints, chosen)
    known = learned_in_parts(chosen.stage1, (len(picks), read), library, chosen.params, size)

    def ramps():
        for first in range(0, nints, size):
            part = data[first : first + size]
            padding = np.zeros((size - len(part), *part.shape[1:]), part.dtype)
            number = np.arange(first, first + size)
            yield first, len(part), exposure.ramps(np.concatenate([part, padding]), number, number < nints)

    pieces = [
        [np.asarray(x)[: c.count] for x in (c.rates.data, c.rates.err, c.groupdq)]
        for c in detector(chosen.stage1, ramps(), known, chosen.params)
    ]
    slope, error, groupdq = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return slope.astype(float), error, groupdq


def _last_usable(data: ndarray, good: ndarray) -> Float[ndarray, "integration y x"]:
    """Raw signal of the last usable group, DN; NaN where no group is usable."""
    index = good.shape[1] - 1 - np.argmax(good[:, ::-1], axis=1)
    last = np.take_along_axis(data, index[:, None], axis=1)[:, 0].astype(float)
    return np.where(good.any(1), last, np.nan)
