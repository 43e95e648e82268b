"""Recipe of irs2.npz: what the official refpix makes of an IRS2 integration of NRS2, at some pixels.

    python make_irs2.py

The frames, flags and factors are drawn by tests/helpers/irs2_frames.py (jwst 3.0.0); stored are the pixels, the
official values there and the reads that the official step flags, so that test_golden.py does not need it.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "helpers"))

import irs2_frames as peer  # noqa: E402
from uptheramp.calibrate import flags  # noqa: E402


def main() -> None:
    """Write the file."""
    data, dq = peer.raw_frames("NRS2", 1, 2, seed=4), peer.bad_mask("NRS2")
    with TemporaryDirectory() as folder:
        path = peer.write_refpix(Path(folder) / "refpix.fits", "NRS2")
        theirs, flagged = peer.official_step(data, dq, path, "NRS2")
    y, x = np.random.default_rng(0).integers(0, 2048, (2, 3000))
    bad = (peer.in_order(flagged, "NRS2") & flags.BAD_REF_PIXEL != 0).any(0)
    np.savez_compressed(HERE / "irs2.npz", y=y, x=x, official=theirs.data[0][:, y, x], bad=bad)


if __name__ == "__main__":
    main()
