"""PHOTOM of SOSS: from the count rates of extracted spectra to flux densities, order by order."""

from collections.abc import Sequence
from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base
from uptheramp.calibrate.references.fading import fading
from uptheramp.calibrate.references.photom import Table, curve, row_of, table_of

TABLE = Table("NisSossPhotomModel", ("filter", "pupil", "order"), "photmj", False)


class PhotomSoss(eqx.Module):
    """`conversion * response(wavelength)` of each order, in MJy per DN/s; wavelengths in micron, ascending.

    `fade` is the throughput at the time of the exposure over that for which the table holds. Shorter tables are padded
    at their end by knots at ever longer wavelengths that are not reached: `last_um` is where each of them ends.
    """

    conversion: Float[Array, "order"]
    wavelength_um: Float[Array, "order knot"]
    response: Float[Array, "order knot"]
    last_um: Float[Array, "order"]
    fade: Float[Array, "order"]
    order: tuple[int, ...] = eqx.field(static=True)

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "PhotomSoss":
        """Read the rows of the exposure's wheels, an order each.

        Raises
        ------
        InputError
            If it is no photom file, or holds no conversion for these wheels.
        """
        with fits.open(path, memmap=False) as hdus:
            _, rows = table_of(hdus, path)
            numbers = sorted({int(n) for n in rows["order"] if n > 0}) or [1]
            found = {n: row_of(rows, TABLE, meta, path, n) for n in numbers}
            fade = [fading(hdus, at, meta.middle_mjd, path) for at in found.values()]
            curves = [curve(rows[at]) for at in found.values()]
            conversion = [rows[at]["photmj"] for at in found.values()]
        if any(not len(w) for w, _ in curves) or not np.all(np.isfinite(conversion)):
            raise InputError(f"{path}: an order without a usable conversion; use another photom file")
        return cls.of_curves(tuple(numbers), conversion, curves, fade)

    @classmethod
    def of_curves(
        cls,
        order: tuple[int, ...],
        conversion: Sequence[float],
        curves: Sequence[tuple[np.ndarray, np.ndarray]],
        fade: Sequence[float] | None = None,
    ) -> "PhotomSoss":
        """Wavelengths (micron, ascending) and responses of each order, side by side."""
        knots = max(len(w) for w, _ in curves)
        padded = [np.pad(w, (0, knots - len(w)), mode="linear_ramp", end_values=w[-1] + 1) for w, _ in curves]
        return cls(
            np.asarray(conversion, np.float32),
            np.stack(padded).astype(np.float32),
            np.stack([np.pad(r, (0, knots - len(r)), mode="edge") for _, r in curves]).astype(np.float32),
            np.array([w[-1] for w, _ in curves], np.float32),
            np.ones(len(order), np.float32) if fade is None else np.asarray(fade, np.float32),
            order,
        )

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write the official table with a row for each order."""
        from stdatamodels.jwst import datamodels

        n = self.wavelength_um.shape[1]
        dtype = [("filter", "S12"), ("pupil", "S15"), ("order", "i2"), ("photmj", "f4"), ("uncertainty", "f4")]
        dtype += [("nelem", "i2"), *((name, "f4", (n,)) for name in ("wavelength", "relresponse", "reluncertainty"))]
        table = np.zeros(len(self.order), dtype)
        table["filter"], table["pupil"], table["order"] = meta.filter, meta.pupil, self.order
        table["photmj"], table["wavelength"], table["relresponse"] = self.conversion, self.wavelength_um, self.response
        table["nelem"] = (np.asarray(self.wavelength_um) <= np.asarray(self.last_um)[:, None]).sum(1)
        with datamodels.NisSossPhotomModel(phot_table=table) as model:
            base.save(base.describe(model, meta, "PHOTOM", window=False), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "PhotomSoss":
        """One at every wavelength of three orders."""
        one = np.ones(3, np.float32)
        knots = np.broadcast_to(np.array([0, 100], np.float32), (3, 2)).copy()
        return cls(one, knots, np.ones((3, 2), np.float32), 100 * one, one, (1, 2, 3))
