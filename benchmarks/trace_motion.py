"""What movements of the image by parts of a pixel do to light curves and depths, and what decorrelation undoes.

    python benchmarks/trace_motion.py docs/trace_motion.json [MODE ...]

Noise-free images of a transit, one for each integration, of a detector whose pixels respond less towards their edges
(`flat.subpixel` = 0.1) and whose flat is known to FLAT_ERROR only, are extracted as `calibrate` does, with a profile
learned on every third of them. The light curve of the same star at rest, extracted with the same weights, is divided
out: what is left is what the motion does. Depths are linear fits to it of the transit's shape beside a line in time,
before and after the trace's position, rotation and width (`Spectra.trace`, measured on these images) join the line.

For every mode, motion and method: the position's range and how well the trace tells it, the slope of white light
against position, the rms before and after, and the bias of the depth of white light and (median of the absolute
values) of 20 channels. SOSS is judged by its order 1, with profiles that are known at rest. Motion along the dispersion
is there too, and no measured quantity tells it.
"""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np

from uptheramp.calibrate.io.atomic import whole
from uptheramp.calibrate.references.specprofile import Specprofile
from uptheramp.calibrate.stage2 import soss_extract
from uptheramp.calibrate.stage2.extract_1d import Extract1dParams, Extract1dRefs, extract_1d, learn_profile
from uptheramp.calibrate.state import Rates, take
from uptheramp.scenarios.scenario import Scenario, find, observation_of
from uptheramp.simulate.calibration.optical import extract1d, wavemap
from uptheramp.simulate.calibration.soss_extraction import pastasoss
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.optics import sources
from uptheramp.simulate.optics import trace as optics
from uptheramp.simulate.optics.pointing import motion, path
from uptheramp.simulate.state import Pointing

NINTS, IN_TRANSIT = 60, 28.0
SUBPIXEL, FLAT_ERROR = 0.1, 3e-3
READ_E = 15.0  # of a slope's charge, in the weights
CHANNELS = 20
MODES = {
    "nirspec_prism": ("quickstart", 0),
    "nirspec_g395h_nrs1": ("wasp-39b-nirspec-g395h-quick", 0),
    "miri_lrs": ("quickstart", 2),
    "nircam_f322w2": ("quickstart", 1),
    "niriss_soss_substrip96": ("ten-modes-transit", 1),
}
METHODS = {
    "box": Extract1dParams(background="none"),
    "smoothed": Extract1dParams(background="none", method="optimal", profile="smoothed"),
    "components": Extract1dParams(background="none", method="optimal", profile="components"),
}
SOSS = {
    "by column": soss_extract.Extract1dParams(background="none"),
    "box": soss_extract.Extract1dParams(background="none", method="box"),
}


@dataclass(frozen=True)
class Case:
    """One mode under one motion: images (integration, y, x) in e-/s that move, and at rest."""

    observation: Observation
    moving: np.ndarray
    still: np.ndarray
    across_px: np.ndarray  # true displacement across the dispersion


def knobs(duration_s: float) -> dict[str, dict]:
    """Motions, sizes as in the pointing's knobs; those of the tilt event are a guess."""
    drift = 3.0 / (duration_s / 3600)  # 3 mas an axis in all
    event = {"at_s": 0.45 * duration_s, "shift_mas": (1.0, 1.0), "width": 0.005}
    return {
        "jitter 1 mas": {"jitter_mas": 1.0},
        "drift 3 mas": {"jitter_mas": 0.0, "drift_mas_per_h": (drift, drift)},
        "tilt event": {"jitter_mas": 0.0, "tilt": (event,)},
    }


def cases(scenario: Scenario, number: int):
    """Yield the name of each motion and its images."""
    plain = replace(scenario.mode[number], nints=NINTS, integrations_in_transit=IN_TRANSIT)
    duration = observation_of(scenario, plain).duration_s
    for name, settings in knobs(duration).items():
        effects = {"pointing": settings, "flat": {"subpixel": SUBPIXEL}}
        block = replace(plain, effects_on=(*plain.effects_on, "pointing"), effects=effects)
        observation = observation_of(scenario, block)
        orders = sources.of_target(observation)
        m = motion(observation.settings_of("pointing"), observation.detector.pixel_scale_arcsec)
        start = np.arange(NINTS) * observation.cadence_s
        exposure = np.float64(observation.cadence_s)
        shift, width, flux = (np.asarray(x) for x in path(m, start, exposure))
        shift = shift + np.random.default_rng(1).normal(size=shift.shape) * m.jitter_px
        rest = Pointing.at_rest(NINTS, np.int64(0), {})
        light = jax.jit(lambda at, *when, orders=orders: sum(order.light(*when, at)[0] for order in orders))
        moving = light(replace(rest, shift_px=shift, width=width, flux=flux), start, exposure)
        across = shift[:, 1 if observation.mode.dispersion_axis == 1 else 0]
        yield (
            name,
            Case(observation, np.asarray(moving, float), np.asarray(light(rest, start, exposure), float), across),
        )


def rates(case: Case, images: np.ndarray) -> Rates:
    """Slopes with the variances of the mode's integration time, seen through pixels of an imperfect flat."""
    o = case.observation
    seconds = o.cadence_s
    flat = 1 + FLAT_ERROR * np.random.default_rng(2).normal(size=o.shape)
    data = images * flat
    reads = np.full(data.shape, (READ_E / seconds) ** 2)
    dq = np.zeros(data.shape, np.uint32)
    return Rates(data, np.maximum(data, 0) / seconds, reads, np.zeros(data.shape), dq, np.arange(len(data)))


class Found(NamedTuple):
    """Spectra (integration, element) of a moving and a resting star, and how the moving trace lies."""

    moving: np.ndarray
    rest: np.ndarray
    trace: np.ndarray
    trace_err: np.ndarray


learning, extracting = eqx.filter_jit(learn_profile), eqx.filter_jit(lambda *given: extract_1d(*given)[0])
of_orders = eqx.filter_jit(lambda *given: soss_extract.extract_1d(*given)[0])


def one_order(case: Case, params: Extract1dParams) -> Found:
    """Extract with a profile learned on every third image."""
    o = case.observation
    refs = Extract1dRefs(extract1d(o), None)
    wavelength = np.asarray(wavemap(o).wavelength_um, float)
    moving, still = (replace(rates(case, images), wavelength_um=wavelength) for images in (case.moving, case.still))
    learned = learning(take(moving, slice(None, None, 3)), refs, params)
    seen, rest = (extracting(state, replace(refs, profile=learned), params) for state in (moving, still))
    return Found(*(np.asarray(x) for x in (seen.flux, rest.flux, seen.trace, seen.trace_err)))


def first_of_orders(case: Case, params: soss_extract.Extract1dParams) -> Found:
    """Extract order 1 of SOSS with the profiles at rest."""
    o = case.observation
    profiles = np.stack([optics.profile(order, o.shape, 1) for order in o.mode.orders])
    solution = pastasoss(o)
    refs = soss_extract.Extract1dRefs(solution, Specprofile(profiles, solution.order), None)
    moving, still = (rates(case, images) for images in (case.moving, case.still))
    learned = soss_extract.learn_typical(take(moving, slice(None, None, 3)), refs, params)
    refs = replace(refs, typical=learned)
    seen, rest = (of_orders(state, refs, params) for state in (moving, still))
    first = np.asarray(seen.order) == solution.order[0]
    return Found(*(np.asarray(x) for x in (seen.flux[:, first], rest.flux[:, first], seen.trace, seen.trace_err)))


def judged(case: Case, found: Found) -> dict[str, float]:
    """The figures of one way to extract."""
    trace = found.trace
    flux, at_rest = np.nan_to_num(found.moving), np.nan_to_num(found.rest)
    bright = np.flatnonzero(at_rest[0] > 0.05 * at_rest[0].max())
    parts = np.array_split(bright, CHANNELS)
    white = flux[:, bright].sum(1) / at_rest[:, bright].sum(1)
    shape = at_rest[:, bright].sum(1)
    shape = (shape.max() - shape) / (shape.max() - shape.min())
    time = np.linspace(-1, 1, NINTS)
    before = np.stack([np.ones(NINTS), time, -shape])
    # quantities that do not move at all would be fitted as noise of rounding
    told = trace[:, np.ptp(trace, 0) > 1e-6].T
    after = np.concatenate([before, told - told.mean(1, keepdims=True)])

    def fitted(light: np.ndarray, terms: np.ndarray) -> tuple[float, float]:
        found, *_ = np.linalg.lstsq(terms.T, light, rcond=1e-10)
        return 1e6 * float(found[2]), 1e6 * float(np.std(light - found @ terms))

    biases = {"before": [], "after": []}
    for part in parts:
        light = flux[:, part].sum(1) / at_rest[:, part].sum(1)
        biases["before"].append(fitted(light, before)[0])
        biases["after"].append(fitted(light, after)[0])
    centred = case.across_px - case.across_px.mean()
    figures = {
        "range_mpx": 1e3 * np.ptp(case.across_px),
        "position_error_mpx": 1e3 * float(np.median(found.trace_err[:, 0])),
        "told_per_true": float((trace[:, 0] @ centred) / (centred @ centred)),
        "ppm_per_mpx": 1e3 * float(((white - white.mean()) @ centred) / (centred @ centred)),
        "rms_before_ppm": fitted(white, before)[1],
        "rms_after_ppm": fitted(white, after)[1],
        "white_bias_before_ppm": fitted(white, before)[0],
        "white_bias_after_ppm": fitted(white, after)[0],
        "channel_bias_before_ppm": float(np.median(np.abs(biases["before"]))),
        "channel_bias_after_ppm": float(np.median(np.abs(biases["after"]))),
    }
    return {name: float(f"{value:.3g}") for name, value in figures.items()}


def main(out: Path, modes: list[str]) -> None:
    """Write the figures of these modes, or all; those of other modes that the file holds stay."""
    modes = modes or list(MODES)
    kept = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else []
    rows = [row for row in kept if row["mode"] not in modes]
    for mode in modes:
        scenario, number = MODES[mode]
        for name, case in cases(find(scenario), number):
            several = len(case.observation.mode.orders) > 1
            for method, params in (SOSS if several else METHODS).items():
                found = (first_of_orders if several else one_order)(case, params)
                rows.append({"mode": mode, "motion": name, "method": method, **judged(case, found)})
                print(rows[-1], flush=True)
            with whole(out) as temporary:
                temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
