"""How alike two products of Stage 2 are: images, spectra matched by wavelength, and what the files are made of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from parity import Agreement, agreement

from uptheramp.calibrate import flags
from uptheramp.calibrate.state import Spectra

DIGITS = "0123456789"
VARIANCES = ("FLUX_VAR_POISSON", "FLUX_VAR_RNOISE", "FLUX_VAR_FLAT")
COLUMNS = ("FLUX", "FLUX_ERROR", *VARIANCES, "BACKGROUND", "NPIXELS")


def columns_of(spectra: Spectra, number: int) -> dict[str, np.ndarray]:
    """Columns of one order by the names of the product."""
    mine = np.asarray(spectra.order) == number
    mine = mine if mine.any() else np.ones(mine.shape, bool)
    fields = ("flux", "err", "var_poisson", "var_rnoise", "var_flat", "background", "npixels", "dq", "wavelength_um")
    names = (*COLUMNS, "DQ", "WAVELENGTH")
    shape = spectra.flux[:, mine].shape
    return {
        n: np.broadcast_to(np.asarray(getattr(spectra, f))[..., mine], shape)
        for n, f in zip(names, fields, strict=True)
    }


def images_agree(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> Agreement:
    """Values and errors of images, where both hold usable pixels; flags that differ."""
    variance = [sum(np.nan_to_num(p[v]) for v in ("VAR_POISSON", "VAR_RNOISE", "VAR_FLAT")) for p in (ours, theirs)]
    error = np.sqrt(variance[1])
    usable = [((p["DQ"] & flags.DO_NOT_USE) == 0) & np.isfinite(p["SCI"]) for p in (ours, theirs)]
    same = usable[0] & usable[1]
    unlike = (ours["DQ"] ^ theirs["DQ"]) & ~np.uint32(flags.NON_SCIENCE)  # which assign_wcs sets here and not there
    values = agreement(ours["SCI"], theirs["SCI"], error, same, int((unlike != 0).sum()))
    errors = agreement(np.sqrt(variance[0]), error, error, same, 0)
    return Agreement(
        min(values.within, errors.within), values.compared, max(values.largest, errors.largest), values.flags
    )


def tables(hdus: fits.HDUList) -> dict[int, dict[str, np.ndarray]]:
    """Columns of each EXTRACT1D table by the number of the order (not its sign)."""
    found = {}
    for hdu in hdus:
        if hdu.name == "EXTRACT1D":
            number = abs(int(hdu.header.get("SPORDER", 1)))
            found[number] = {name: np.asarray(hdu.data[name]) for name in (*COLUMNS, "DQ", "WAVELENGTH")}
    return found


class Spectral:
    """Extracted spectra side by side, matched by wavelength."""

    def __init__(self, ours: Mapping[int, Mapping[str, np.ndarray]], theirs: Mapping[int, Mapping[str, np.ndarray]]):
        self.flux = Agreement(0, 0, 0.0, 0)
        self.columns: dict[str, tuple[int, int]] = dict.fromkeys(COLUMNS, (0, 0))
        self.wavelength = 0.0
        self.lengths = []
        for number, official in theirs.items():
            mine = ours.get(number) or ours[min(ours)]
            lit = np.isfinite(mine["WAVELENGTH"][0])
            self.lengths.append((int(lit.sum()), official["WAVELENGTH"].shape[1]))
            if not lit.any():
                continue
            mine = {name: column[:, lit] for name, column in mine.items()}
            w, theirs_w = mine["WAVELENGTH"][0], official["WAVELENGTH"][0]
            at = np.abs(w[:, None] - theirs_w[None]).argmin(0)
            paired = np.abs(w[at] - theirs_w) < 0.5 * np.abs(np.gradient(theirs_w))  # within half a dispersion element
            at = at[paired]
            self.wavelength = max(self.wavelength, float(np.abs(w[at] / theirs_w[paired] - 1).max(initial=0)))
            mine = {name: column[:, at] for name, column in mine.items()}
            self._add(mine, {name: column[:, paired] for name, column in official.items()})

    def _add(self, mine: Mapping[str, np.ndarray], official: Mapping[str, np.ndarray]) -> None:
        error = np.asarray(official["FLUX_ERROR"], float)
        same = np.isfinite(mine["FLUX"]) & np.isfinite(official["FLUX"])
        unlike = int((((mine["DQ"] ^ official["DQ"]) & flags.DO_NOT_USE) != 0).sum())
        new = agreement(mine["FLUX"], official["FLUX"], error, same, unlike)
        self.flux = Agreement(
            *(a + b for a, b in zip(self.flux[:2], new[:2], strict=True)),
            max(self.flux.largest, new.largest),
            self.flux.flags + unlike,
        )
        for name in COLUMNS:
            a, b = np.asarray(mine[name], float), np.asarray(official[name], float)
            if name in VARIANCES and not b.any():
                continue  # not filled in the official product
            close = np.abs(a - b) <= 1e-5 * np.abs(b) + (1e-3 * error if name in ("FLUX", "BACKGROUND") else 0)
            close |= np.isnan(a) & np.isnan(b)
            self.columns[name] = self.columns[name][0] + int(close[same].sum()), self.columns[name][1] + int(same.sum())


def layout(path: Path) -> dict[str, Any]:
    """What a product is made of: shape and unit of images, length of tables, kind and unit of their columns."""
    with fits.open(path) as hdus:
        found: dict[str, Any] = {}
        for hdu in hdus[1:]:
            if hdu.name == "ASDF":
                continue
            if isinstance(hdu, fits.BinTableHDU):
                points = {"rows": len(hdu.data)}
                if "FLUX" in hdu.columns.names:
                    points["points"] = hdu.data["FLUX"].shape[1]
                kinds = {c.name.upper(): f"{c.format.lstrip(DIGITS)} {c.unit or ''}".strip() for c in hdu.columns}
                found[f"{hdu.name} {hdu.ver}"] = points | kinds
            else:
                found[hdu.name] = {"unit": hdu.header.get("BUNIT"), "shape": hdu.shape}
    return found


def unlike(ours: Path, theirs: Path) -> list[str]:
    """What two products of a kind are made of differently, in words."""
    a, b = layout(ours), layout(theirs)
    words = [f"{name} missing" for name in b if name not in a] + [f"{name} extra" for name in a if name not in b]
    pairs = ((name, key) for name in a for key in b.get(name, {}) if a[name].get(key) != b[name][key])
    return words + [f"{name} {key}: {a[name].get(key)} (official {b[name][key]})" for name, key in pairs]
