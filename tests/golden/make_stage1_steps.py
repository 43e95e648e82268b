"""Recipe of stage1_steps.npz: what the official functions make of small ramps.

    python make_stage1_steps.py

The ramps and the calls are those of tests/helpers/official_ramps.py (jwst 3.0.0, stcal 1.20.0); stored
are inputs and official results, so that test_golden.py needs neither.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "helpers"))

import official_ramps as official  # noqa: E402
from uptheramp.calibrate.references.emicorr import Emicorr, Wave  # noqa: E402
from uptheramp.calibrate.stage1.emicorr import _Clock  # noqa: E402
from uptheramp.calibrate.stage1.jump import JumpParams  # noqa: E402


def main() -> None:
    """Write the file."""
    from jwst.emicorr.emicorr import emicorr_refwave
    from stcal.jump.jump import detect_jumps_data

    out = {}
    state = official.hit_ramps(100, 4, seed=3)
    out["clip_data"], out["clip_groupdq"] = state.data, state.groupdq
    out["clip_official"] = detect_jumps_data(official.jump_data(state, JumpParams()))[0]

    state = official.ramps(nints=2, ngroups=7, nframes=4, gap=1, seed=7, zeroframe=True, top=20000.0)
    state = replace(state, groupdq=np.zeros_like(state.groupdq), zeroframe=np.maximum(state.zeroframe, 1))
    state.data[0, 3:, ::2, 3] += 700
    state.data[1, 2:, 1::3, 5] += 250
    out["likely_data"], out["likely_zeroframe"] = state.data, state.zeroframe
    found, _ = official.official_fit(state, "LIKELY")
    for name in ("slope", "err", "dq", "var_poisson", "var_rnoise", "chisq"):
        out[f"likely_official_{name}"] = found[name]

    state = official.ramps(nints=2, ngroups=4, shape=(16, 32), top=400.0)
    wave = np.sin(2 * np.pi * (np.arange(60) + 0.5) / 60)
    emi = Wave(np.float64(256.0), wave)
    clock = _Clock(state, Emicorr((emi,), 28, 15904, 1), emi)
    state.data[:] += np.stack([clock.signal(0.313, 30.0, number) for number in range(2)])
    out["emi_data"], out["emi_wave"] = state.data.copy(), wave
    out["emi_official"] = emicorr_refwave(state.data.copy(), state.pixeldq, wave, 1, 28, 15904, 256.0)
    np.savez_compressed(HERE / "stage1_steps.npz", **out)


if __name__ == "__main__":
    main()
