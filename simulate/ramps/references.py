"""Reference files that match a simulated exposure, in three grades.

`oracle` is exactly what the simulator used (for the non-linearity the polynomial fitted to noise-free flat ramps);
`estimated` is what the calibration programme of `programme.py` and `solution.py` measures, noise included; `wrong` is
`estimated` with the error that `wrong.py` states for each type.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.calibrate.references.carried import Carried
from uptheramp.calibrate.references.dark import Dark
from uptheramp.calibrate.references.emicorr import Emicorr, Wave
from uptheramp.calibrate.references.flat import Flat
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.ipc import Ipc
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.calibrate.references.mask import Mask
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.references.reset import Reset
from uptheramp.calibrate.references.rscd import Rscd
from uptheramp.calibrate.references.saturation import Saturation
from uptheramp.calibrate.references.superbias import Superbias
from uptheramp.simulate.calibration import (
    flats,
    imager,
    linearity,
    official,
    optical,
    programme,
    soss_extraction,
    traps,
    wrong,
)
from uptheramp.simulate.calibration.solution import believed
from uptheramp.simulate.detector import emi, ipc
from uptheramp.simulate.detector.adc import CEILING_DN
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps import clock
from uptheramp.simulate.ramps.layers import pixel_flags
from uptheramp.simulate.ramps.render import Constants

GRADES = ("oracle", "estimated", "wrong")
ADC_MARGIN_DN = 500.0
RESIDUE_DN = 1.0
WAVE_BINS = 500  # of a period of the interference


def make(
    observation: Observation, constants: Constants, grade: str, seed: int = 0, only: Collection[str] | None = None
) -> dict[str, Any]:
    """Return the references of one grade, keyed by REFTYPE in lower case.

    Parameters
    ----------
    seed
        Draws the programme's noise.
    only
        In `wrong`, the types that err, by the names of `wrong.py`; None for all.

    Raises
    ------
    InputError
        For an unknown grade.
    """
    if grade not in GRADES:
        raise InputError(f"unknown grade of references: {grade}; known: {', '.join(GRADES)}")
    rng = None if grade == "oracle" else np.random.default_rng([observation.detector_seed, seed, 0x63616C])
    err = frozenset() if grade != "wrong" else frozenset(only or wrong.NAMES)
    o, c, maps = observation, constants, constants.maps
    clean = np.zeros(o.shape, np.uint32)
    bias = programme.averaged_bias(c, rng)
    gain = _gain(o, c, rng)
    polynomial, saturated = _linearity(c, bias, rng, wrong.DEFICIT if "linearity" in err else 1.0)
    mid_ir = o.instrument.step_family == "mid_ir"
    dark = programme.averaged_dark(c, clock.group_mean_s(o), rng)
    flat, flat_error = programme.averaged_flat(c, rng)
    flat_dq = np.where(maps.dead, flags.DO_NOT_USE | flags.NO_FLAT_FIELD, 0).astype(np.uint32)
    single = np.asarray(maps.read_noise_e / maps.gain)
    if rng is not None:
        single = single * np.sqrt(rng.chisquare(programme.NOISE_PAIRS - 1, o.shape) / (programme.NOISE_PAIRS - 1))
    library = {
        "mask": Mask(pixel_flags(c)),
        "saturation": Saturation(_f32(saturated), clean),
        "linearity": Linearity(_f32(linearity.with_pedestal(polynomial, bias) if mid_ir else polynomial), clean),
        "dark": Dark(_f32(dark[None]), clean, _f32(maps.dark_e_per_s)),
        "gain": Gain(_f32(gain), np.float32(1)),
        "readnoise": ReadNoise(_f32(single * np.sqrt(2))),
        "flat": Flat(_f32(np.where(maps.dead, 1.0, flat)), _f32(flat_error), flat_dq),
    }
    if "ipc" in o.effects:
        library["ipc"] = Ipc(_f32(inverse_kernel(c.own["ipc"].measured())))
    if "persistence" in o.effects:
        library |= traps.make(o, c, rng)
    if mid_ir:
        library |= {"reset": Reset(_f32(_reset(o, c, rng)), clean), "rscd": _rscd(o, c)}
        if "emi" in o.effects and o.pattern.nframes == 1:  # the step corrects single frames
            library["emicorr"] = interference(o, c, rng)
    else:
        library["superbias"] = Superbias(_f32(bias), clean)
    library = _erring(library, err)
    return library | _erring(_optics(o, c, rng, library["flat"], err), err)


def _erring(library: dict[str, Any], err: frozenset[str]) -> dict[str, Any]:
    return {name: wrong.ERRORS[name](r) if name in err & set(wrong.ERRORS) else r for name, r in library.items()}


def _optics(
    observation: Observation, constants: Constants, rng: np.random.Generator | None, flat: Flat, err: frozenset[str]
) -> dict[str, Any]:
    """References of the optics, ours and the official pipeline's, from what the calibration believes of them."""
    known = believed(observation, rng, wrong="wavemap" in err)
    library: dict[str, Any] = official.make(known)
    if observation.mode.orders:
        library |= {"wavemap": optical.wavemap(known), "extract1d": optical.extract1d(known)}
        library["photom"] = optical.photom(known, constants)
    else:
        library["photom"] = imager.photom(known, constants.spectra[0], float(np.mean(constants.maps.gain)))
        library["tsophot"] = imager.tsophot(known)
    if "fflat" in library:
        library["dflat"] = flats.detector(flat)
    if "pastasoss" in library:
        library["bkg"] = soss_extraction.background(observation, constants, rng)
        library["specprofile"] = soss_extraction.specprofile(known, observation, constants)
        library["speckernel"] = soss_extraction.speckernel(known, wrong.SPREAD if "speckernel" in err else 1.0)
    return library


def write(
    observation: Observation,
    constants: Constants,
    directory: Path,
    *,
    grades: tuple[str, ...] = GRADES,
    seed: int = 0,
    only: Collection[str] | None = None,
) -> list[Path]:
    """Make and write references (see `make`) to `<directory>/references/<grade>/`; return the paths."""
    paths = []
    for grade in grades:
        library = make(observation, constants, grade, seed, only)
        paths += save(observation, library, Path(directory) / "references" / grade)
    return paths


def save(observation: Observation, library: dict[str, Any], directory: Path) -> list[Path]:
    """Write each reference as `<instrument>_<detector>_<reftype>.fits` (or .json, .asdf) and return the paths."""
    paths = []
    for name, reference in library.items():
        root = f"{observation.instrument.name}_{observation.detector.name}_{name}".lower()
        path = Path(directory) / f"{root}.{getattr(reference, 'ending', 'fits')}"
        if isinstance(reference, Carried):
            reference.to_file(path, observation.meta, name.upper())
        else:
            reference.to_file(path, observation.meta)
        paths.append(path)
    return paths


def _f32(values: Any) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32)


def _gain(observation: Observation, constants: Constants, rng: np.random.Generator | None) -> np.ndarray:
    gain = np.asarray(constants.maps.gain, float)
    if rng is None:
        return gain
    # one error an output: pixels of an output share its amplifier, and true gains differ by output only
    _, output = np.unique(gain, return_inverse=True)
    error = programme.GAIN_ERROR * rng.standard_normal(observation.readout.outputs)
    return gain * (1 + error[output.reshape(gain.shape)])


def _linearity(
    constants: Constants, bias: np.ndarray, rng: np.random.Generator | None, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients for signals without bias (DN), and the raw level up to which they were fitted."""
    maps = constants.maps
    ramp = programme.flat_ramp(constants, rng)
    well_e = float(maps.well_e)
    # the ramp is measured in DN: only the simulator's own gain relates it to electrons
    polynomial = linearity.in_dn(scale * linearity.fit(ramp, well_e), well_e / np.asarray(maps.gain, float))
    last = ramp.signal[np.searchsorted(ramp.time, linearity.FITTED_FILL)] / maps.gain
    level = np.minimum(bias + np.nan_to_num(last, nan=CEILING_DN), CEILING_DN - ADC_MARGIN_DN)
    return polynomial, level


def interference(observation: Observation, constants: Constants, rng: np.random.Generator | None) -> Emicorr:
    """Waveforms by phase, DN; the programme's carry the read noise of its darks folded into bins."""
    o, maps = observation, constants.maps
    table = o.detector.emi
    assert table is not None
    faster = 1 + 1e-6 * o.settings_of("emi").frequency_ppm
    folded = programme.DARKS * o.ngroups * maps.gain.size / WAVE_BINS
    sigma = 0.0 if rng is None else float(np.mean(maps.read_noise_e / maps.gain)) / np.sqrt(folded)
    noise = np.random.default_rng(0) if rng is None else rng
    waves = {
        faster * frequency: wave + sigma * noise.standard_normal(WAVE_BINS)
        for frequency, wave in emi.waveforms(table, WAVE_BINS).items()
    }
    return emicorr(o, waves)


def emicorr(observation: Observation, waves: dict[float, Float[np.ndarray, "bin"]]) -> Emicorr:
    """Return the reference of waves by their frequency (Hz), with the clocks of the observation."""
    o, s = observation, observation.subarray
    listed = tuple(Wave(np.float64(1 / (frequency * CLOCK_S)), wave) for frequency, wave in waves.items())
    row_clocks = s.size[0] // s.outputs + s.row_overhead_clocks
    return Emicorr(listed, row_clocks, o.pattern.reset_frames * round(s.frame_time_s / CLOCK_S), 1)


def _rscd(observation: Observation, constants: Constants) -> Rscd:
    """Skip, after the first integration, the groups in which a half-full pixel left more than RESIDUE_DN."""
    residue = constants.own.get("rscd")
    if residue is None:
        return Rscd(0, 0)
    maps, readout = constants.maps, observation.readout
    first = np.arange(readout.ngroups) * float(readout.frames_per_group)
    left = np.asarray(residue(maps.well_e / 2 / maps.gain, first)).max((1, 2))
    return Rscd(0, int((left > RESIDUE_DN).sum()))


def _reset(observation: Observation, constants: Constants, rng: np.random.Generator | None) -> np.ndarray:
    """Anomaly of the first and of later integrations by group, DN; the programme's carries the noise of averaging."""
    readout, maps, anomaly = observation.readout, constants.maps, constants.own.get("reset_anomaly")
    if anomaly is None:
        return np.zeros((1, readout.ngroups, *observation.shape))
    first = np.arange(readout.ngroups) * readout.frames_per_group
    reads = (first[:, None] + np.arange(readout.nframes)).astype(float)
    left = np.stack([np.asarray(anomaly(reads, np.asarray(number))).mean(1) for number in (0, 1)])
    if rng is None:
        return left
    sigma = maps.read_noise_e / maps.gain / np.sqrt(programme.DARKS * readout.nframes)
    return left + rng.standard_normal(left.shape) * sigma


def inverse_kernel(alpha: np.ndarray) -> np.ndarray:
    """Deconvolution kernel to second order in alpha: 2 delta - K, on 3 x 3."""
    identity = np.zeros((3, 3))
    identity[1, 1] = 1.0
    return 2 * identity - np.asarray(ipc.kernel(alpha))
