"""Recipe of flicker.npz: 1/f noise taken out by the official function, as a Fourier series and above a background.

    python make_flicker.py

The ramps and the calls are those of tests/helpers/flicker_ramps.py (jwst 3.0.0), the first integration, rounded to
whole DN; stored are inputs and official results, so that test_golden.py needs neither.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "helpers"))

import flicker_ramps as official  # noqa: E402


def main() -> None:
    """Write the file."""
    red, _, dark = official.drifting((32, 96), -1, seed=15)
    glowing, unlit = official.glowing()
    cases = {
        "fft": (red, dark, {"fit": "fft", "detector": "NRS2"}),
        "model": (glowing, unlit, {"method": "model"}),
    }
    out = {}
    for name, (state, mask, settings) in cases.items():
        whole = replace(state, data=np.rint(state.data[:1]).astype(np.float32), groupdq=state.groupdq[:1])
        out[f"{name}_data"], out[f"{name}_groupdq"] = whole.data.astype(np.uint16), whole.groupdq
        out[f"{name}_dark"] = mask
        out[f"{name}_official"] = official.official_clean(whole, mask, **settings)
    np.savez_compressed(HERE / "flicker.npz", **out)


if __name__ == "__main__":
    main()
