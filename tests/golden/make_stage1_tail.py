"""Recipe of stage1_tail_<mode>.npz: what the official jump and ramp_fit make of small windows of ramps.

    python make_stage1_tail.py FOLDER MODE [MODE ...]

FOLDER/MODE holds `MODE_ramp.fits` and `MODE_rateints.fits`, written by the official Detector1 3.0.0 with its defaults
and `save_calibrated_ramp` (the harness beside the repository makes exposure, references and products: make_refs.py,
make_uncal.py --nints 4, run_peer.py detector1), FOLDER/crds the references. The flags of the jump step are taken out of
the ramps again, so that a test can find them.
"""

import sys
from pathlib import Path

import numpy as np
from astropy.io import fits

HERE = Path(__file__).parent
JUMP_DET = 4
WINDOWS = {
    "nrs_prism": (slice(2, 30), slice(200, 230)),
    "nrc_sub64": (slice(24, 46), slice(900, 922)),
    "miri_lrs": (slice(300, 313), slice(30, 43)),
}


def make(folder: Path, mode: str) -> Path:
    """Write the golden file of one mode."""
    rows, columns = WINDOWS[mode]
    cut = (Ellipsis, rows, columns)
    with fits.open(folder / mode / f"{mode}_ramp.fits") as hdus:
        header = hdus[0].header
        groupdq = hdus["GROUPDQ"].data[cut]
        out = {
            "data": hdus["SCI"].data[cut].astype(np.float32),
            "pixeldq": hdus["PIXELDQ"].data[cut].astype(np.uint32),
            "groupdq": groupdq & ~np.uint8(JUMP_DET),
            "official_groupdq": groupdq,
            "dark_current": hdus["AVDRKCUR"].data[cut].astype(np.float32),
            "times": np.array([header["TFRAME"], header["TGROUP"]]),
        }
    with fits.open(folder / mode / f"{mode}_rateints.fits") as hdus:
        for name in ("SCI", "DQ", "VAR_POISSON", "VAR_RNOISE"):
            plane = hdus[name].data[cut]
            out[f"official_{name.lower()}"] = plane.astype(plane.dtype.newbyteorder("="))
    for name in ("gain", "readnoise"):
        (path,) = (folder / "crds" / "references").rglob(f"*_{name}_{mode.replace('_', '-')}.fits")
        out[name] = fits.getdata(path, "SCI")[cut].astype(np.float32)
    path = HERE / f"stage1_tail_{mode}.npz"
    np.savez_compressed(path, **out)
    return path


if __name__ == "__main__":
    for name in sys.argv[2:]:
        make(Path(sys.argv[1]), name)
