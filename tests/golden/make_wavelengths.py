"""Official wavelengths (jwst 3.0.0 assign_wcs, extract_2d, wavecorr) of some pixels of tests/helpers/optics.py's cases.

python tests/golden/make_wavelengths.py    (needs the extra `peer`)
"""

import logging
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "helpers"))

import optics  # noqa: E402


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    golden = {}
    for name, case in optics.CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            paths = case.write(Path(folder), case.meta)
            wavelength, corner = optics.official(case.meta, paths)
            corrected, _ = optics.official(case.meta, paths, corrected=True)
        rows, columns = optics.some(wavelength)
        where = np.ix_(rows, columns)
        golden |= {name: wavelength[where], f"{name}_rows": rows, f"{name}_columns": columns}
        golden[f"{name}_corrected"] = corrected[where]
        golden[f"{name}_corner"] = np.array(corner)
    np.savez_compressed(HERE / "wavelengths.npz", **golden)


if __name__ == "__main__":
    main()
