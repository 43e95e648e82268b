"""Recipe of large_events.npz: snowballs and showers flagged by the official function.

    python make_large_events.py

The ramps and the calls are those of tests/helpers/official_ramps.py (jwst 3.0.0, stcal 1.20.0), rounded to whole DN;
stored are inputs and official results, so that test_golden.py needs neither.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "helpers"))

import official_ramps as official  # noqa: E402
from uptheramp.calibrate.stage1.jump import JumpParams  # noqa: E402

SNOWBALLS = [  # as in official_ramps
    (0, 2, 20.0, 24.0, 4.0, 8.0),
    (0, 5, 31.0, 9.0, 3.0, 6.0),
    (1, 1, 12.0, 33.0, 3.3, 7.0),
    (1, 4, 39.0, 40.0, 4.0, 9.0),
]
PARAMS = {
    "snowballs": JumpParams(expand_large_events=True, edge_size=6),
    "showers": JumpParams(find_showers=True, max_shower_amplitude=6.1),  # mean changes of whole DN tie with 6
}


def main() -> None:
    """Write the file."""
    from stcal.jump.jump import detect_jumps_data

    states = {
        "snowballs": official.snowball_ramps(4, nints=2, ngroups=6, shape=(40, 44), events=SNOWBALLS),
        "showers": official.shower_ramps(4, nints=2, ngroups=8, shape=(60, 72)),
    }
    out = {}
    for name, state in states.items():
        whole = replace(state, data=np.rint(state.data).astype(np.float32))
        with np.errstate(all="ignore"):
            flagged = detect_jumps_data(official.jump_data(whole, PARAMS[name]))[0]
        out[f"{name}_data"] = whole.data.astype(np.int32)
        out[f"{name}_groupdq"], out[f"{name}_pixeldq"] = whole.groupdq, whole.pixeldq
        out[f"{name}_official"] = flagged
    np.savez_compressed(HERE / "large_events.npz", **out)


if __name__ == "__main__":
    main()
