"""EMICORR: waveforms of the electromagnetic interference in MIRI's read-out, by frequency."""

from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.calibrate.references import base
from uptheramp.calibrate.references.carried import Carried

SLOW_SAMPLES = 9  # reads of a pixel in SLOW mode
OUTPUTS = 4  # read at the same time
SKIPPED_ROW_CLOCKS = 7.0  # of each row of the detector that the subarray leaves out
DETECTOR_ROWS = 1024


class Wave(eqx.Module):
    """One frequency: its period in pixel clocks, and the waveform in equal bins of phase (shape only)."""

    period_clocks: Float[Array, ""]
    waveform: Float[Array, "phase"]


class Emicorr(eqx.Module):
    """Waves in the order of their correction, and the clocks that place a pixel in them.

    `row_clocks` from line to line, `samples` clocks a pixel, `reset_clocks` of the extra frame between integrations.
    """

    waves: tuple[Wave, ...]
    row_clocks: int = eqx.field(static=True)
    reset_clocks: int = eqx.field(static=True)
    samples: int = eqx.field(static=True)
    ending: ClassVar[str] = "asdf"

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Emicorr":
        """The case of the exposure's subarray and read-out speed; one that the file does not list has no waves."""
        tree = base.asdf_tree(path)
        if "subarray_cases" not in tree or "frequencies" not in tree:
            raise InputError(f"{path}: no subarray_cases or frequencies; it is not a complete EMICORR reference")
        speed = "SLOW" if "SLOW" in meta.pattern else "FAST"
        name = f"{meta.subarray}_{speed}" if "FULL" in meta.subarray else meta.subarray
        case: dict[str, Any] | None = tree["subarray_cases"].get(name)
        if case is None:
            return cls.neutral(meta)
        known: dict[str, Any] = tree["frequencies"]
        waves = tuple(
            Wave(np.float64(1 / (entry["frequency"] * CLOCK_S)), np.asarray(entry["phase_amplitudes"], float))
            for entry in (known[frequency] for frequency in _listed(case["freqs"].get(speed), meta.detector))
        )
        extra = int(case["frameclocks"]) if meta.pattern.endswith("R1") else 0
        return cls(waves, int(case["rowclocks"]), extra, SLOW_SAMPLES if speed == "SLOW" else 1)

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write the exposure's case in CRDS format (FAST reading of a subarray)."""
        waves = {f"Hz{1 / (wave.period_clocks * CLOCK_S):.6g}": wave for wave in self.waves}
        frequencies = {
            name: {"frequency": float(1 / (w.period_clocks * CLOCK_S)), "phase_amplitudes": np.asarray(w.waveform)}
            for name, w in waves.items()
        }
        case = {"rowclocks": self.row_clocks, "frameclocks": self.reset_clocks, "freqs": {"FAST": list(waves)}}
        name = f"{meta.subarray}_FAST" if "FULL" in meta.subarray else meta.subarray
        content = {"frequencies": frequencies, "subarray_cases": {name: case}}
        Carried("", content).to_file(path, meta, "emicorr")

    def frame_clocks(self, rows: int) -> float:
        """Clocks from frame to frame of a subarray of so many rows."""
        return rows * self.row_clocks + (DETECTOR_ROWS - rows) * SKIPPED_ROW_CLOCKS

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Emicorr":
        """No interference."""
        return cls((), 0, 0, 1)


def _listed(frequencies: Any, detector: str) -> list[str]:
    """Names of the frequencies, which SLOW mode lists by detector."""
    if isinstance(frequencies, dict):
        frequencies = frequencies.get(detector)
    return list(frequencies or ())
