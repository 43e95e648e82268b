"""Official wavelengths (jwst 3.0.0 assign_wcs, extract_2d) of the cases of tests/helpers/optics.py, every few pixels.

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
            wavelength, corner = optics.official(case.meta, case.write(Path(folder), case.meta))
        rows, columns = optics.some(wavelength)
        golden |= {name: wavelength[np.ix_(rows, columns)], f"{name}_rows": rows, f"{name}_columns": columns}
        golden[f"{name}_corner"] = np.array(corner)
    np.savez_compressed(HERE / "wavelengths.npz", **golden)


if __name__ == "__main__":
    main()
