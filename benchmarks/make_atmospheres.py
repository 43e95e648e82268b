"""Make simulate/scene/atmospheres.csv from ATLAS9 files (ckp00_<teff>.fits, Castelli & Kurucz 2004).

python benchmarks/make_atmospheres.py FOLDER simulate/scene/atmospheres.csv
"""

import sys
from pathlib import Path

import numpy as np
from astropy.io import fits

EDGES_UM = np.geomspace(0.5, 20.0, 97)
COLUMN = "g45"
SECOND = 14387.769


def main(folder: Path, out: Path) -> None:
    paths = {int(p.stem.split("_")[1]): p for p in folder.glob("ckp00_*.fits")}
    columns = []
    for teff in sorted(paths):
        table = fits.getdata(paths[teff], 1)
        lam = table["WAVELENGTH"].astype(float) * 1e-4
        # pi B_lambda in erg / s / cm2 / Angstrom: 2 h c^2 = 1.191e-5 erg cm2 / s, 1e-8 cm to the Angstrom
        black = np.pi * 1.1910429e-5 / (lam * 1e-4) ** 5 / np.expm1(SECOND / (lam * teff)) * 1e-8
        ratio = table[COLUMN].astype(float) / black
        fine = np.geomspace(EDGES_UM[0], EDGES_UM[-1], 40 * (len(EDGES_UM) - 1))
        columns.append(np.interp(fine, lam, ratio).reshape(len(EDGES_UM) - 1, 40).mean(1))
    centre = np.sqrt(EDGES_UM[1:] * EDGES_UM[:-1])
    lines = ["# flux over that of a black body; ATLAS9 (Castelli & Kurucz 2004), [M/H] = 0, log g = 4.5; by Teff (K)"]
    lines.append("wavelength_um," + ",".join(str(t) for t in sorted(paths)))
    rows = zip(centre, np.array(columns).T, strict=True)
    lines += [f"{c:.4f}," + ",".join(f"{v:.4f}" for v in row) for c, row in rows]
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
