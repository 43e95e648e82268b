"""Small exposures in memory: flat ramps with every kind of flag, and neutral references."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from uptheramp.calibrate import flags
from uptheramp.calibrate.instruments.core import Readout
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references.dark import Dark
from uptheramp.calibrate.references.emicorr import Emicorr
from uptheramp.calibrate.references.gain import Gain
from uptheramp.calibrate.references.ipc import Ipc
from uptheramp.calibrate.references.linearity import Linearity
from uptheramp.calibrate.references.mask import Mask
from uptheramp.calibrate.references.readnoise import ReadNoise
from uptheramp.calibrate.references.reset import Reset
from uptheramp.calibrate.references.rscd import Rscd
from uptheramp.calibrate.references.saturation import Saturation
from uptheramp.calibrate.references.superbias import Superbias
from uptheramp.calibrate.state import Ramps

FRAME_S, READ_DN, GAIN = 0.5, 8.0, 2.0
CLASSES = {
    "dark": Dark,
    "emicorr": Emicorr,
    "gain": Gain,
    "ipc": Ipc,
    "linearity": Linearity,
    "mask": Mask,
    "reset": Reset,
    "rscd": Rscd,
    "saturation": Saturation,
    "superbias": Superbias,
}


class Case(NamedTuple):
    meta: ExposureMeta
    ramps: Ramps
    library: dict[str, Any]
    rate_dn_s: np.ndarray


def make(
    nints: int = 3,
    ngroups: int = 6,
    nframes: int = 1,
    groupgap: int = 0,
    correction: str = "amplifiers",
    rate_dn: float = 120.0,
    seed: int = 1,
) -> Case:
    rng = np.random.default_rng(seed)
    ny, nx = 12, 32
    outputs = 4 if correction == "amplifiers" else 1
    edges = (4, 0) if correction == "amplifiers" else (0, 0)
    readout = Readout(
        ngroups=ngroups,
        nframes=nframes,
        groupgap=groupgap,
        frame_divisor=nframes,
        fast_axis=-1 if correction == "amplifiers" else 2,
        slow_axis=2 if correction == "amplifiers" else 1,
        outputs=outputs,
        reference_columns=(4, 4) if correction == "amplifiers" else (0, 0),
        reference_rows=edges,
        reference_correction=correction,
        edge_rows=4 if correction == "edge_rows" else 0,
    )
    meta = ExposureMeta(
        instrument="NIRCAM",
        detector="NRCALONG",
        exp_type="NRC_TSGRISM",
        subarray="SUBGRISM64",
        x_start=1,
        y_start=1,
        x_size=nx,
        y_size=ny,
        fast_axis=readout.fast_axis,
        slow_axis=readout.slow_axis,
        pattern="RAPID",
        nints=nints,
        ngroups=ngroups,
        nframes=nframes,
        groupgap=groupgap,
        frame_divisor=nframes,
        outputs=outputs,
        frame_time_s=FRAME_S,
        group_time_s=FRAME_S * (nframes + groupgap),
        start_mjd=60000.0,
    )
    group_s = meta.group_time_s
    bright = rate_dn * (0.2 + rng.random((ny, nx)))
    frames = ngroups * (nframes + groupgap)
    light = rng.poisson(bright * GAIN * FRAME_S, (nints, frames, ny, nx)).cumsum(1) / GAIN
    read = light + rng.normal(0, READ_DN, light.shape) + 1000
    data = read.reshape(nints, ngroups, nframes + groupgap, ny, nx)[:, :, :nframes].mean(2)
    data[1, ngroups // 2 :, 7, 10] += 5000  # a hit
    data[0, 4:, 8, 20] = 65535  # saturation
    data[0, 1, 9, 9] = 0  # converter floor
    dq = np.zeros((ny, nx), np.uint32)
    if correction == "amplifiers":
        dq[:4], dq[:, :4], dq[:, -4:] = (flags.REFERENCE_PIXEL,) * 3
    dq[6, 15] = flags.DO_NOT_USE
    library = {name: kind.neutral(meta) for name, kind in CLASSES.items()}
    library["mask"] = Mask(dq)
    library["saturation"] = Saturation(np.full((ny, nx), 60000, np.float32), np.zeros((ny, nx), np.uint32))
    library["superbias"] = Superbias(np.full((ny, nx), 1000, np.float32), np.zeros((ny, nx), np.uint32))
    library["readnoise"] = ReadNoise(np.full((ny, nx), READ_DN * 2**0.5, np.float32))
    library["gain"] = Gain(np.full((ny, nx), GAIN, np.float32), np.float32(1))
    ramps = Ramps(
        np.rint(data).clip(0, 65535).astype(np.uint16),
        np.zeros(data.shape, np.uint8),
        np.zeros((ny, nx), np.uint32),
        np.arange(nints),
        np.float64(FRAME_S),
        np.float64(group_s),
        readout,
    )
    return Case(meta, ramps, library, bright)


@pytest.fixture(scope="session")
def exposure() -> Callable[..., Case]:
    return make
