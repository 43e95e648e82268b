"""TRAPPARS: how three families of charge traps fill and empty."""

from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base

FAMILIES = 3
COLUMNS = ("capture0", "capture1", "capture2", "decay_param")


class TrapPars(eqx.Module):
    """Columns of the official table, by family.

    `capture0` (DN) is what a family takes in a pixel of density 1 that stays saturated, with the rate `capture1` (1/s,
    negative); `capture2` (DN) what it takes at once; `decay_param` (1/s, negative) the rate at which it gives back.
    """

    capture0: Float[Array, "family"]
    capture1: Float[Array, "family"]
    capture2: Float[Array, "family"]
    decay_param: Float[Array, "family"]

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "TrapPars":
        """Read the table; rates that are not negative have no family."""
        with fits.open(path, memmap=False) as hdus:
            tables = [h.data for h in hdus if isinstance(h, fits.BinTableHDU) and "capture0" in fits.ColDefs(h).names]
            if not tables or len(tables[0]) != FAMILIES:
                raise InputError(f"{path}: no table of {FAMILIES} trap families; it is not a complete reference file")
            columns: dict[str, Any] = {name: np.array(tables[0][name], np.float64) for name in COLUMNS}
        alive = (columns["capture1"] < 0) & (columns["decay_param"] < 0)
        return cls(
            **{
                name: np.where(alive, values, -1.0 if name in ("capture1", "decay_param") else 0.0)
                for name, values in columns.items()
            }
        )

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        table = np.zeros(FAMILIES, [(name, "f8") for name in COLUMNS])
        for name in COLUMNS:
            table[name] = getattr(self, name)
        with datamodels.TrapParsModel(trappars_table=table) as model:
            base.save(base.describe(model, meta, "TRAPPARS", window=False), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "TrapPars":
        """Families that take nothing."""
        nothing, rate = np.zeros(FAMILIES), np.full(FAMILIES, -1.0)
        return cls(nothing, rate, nothing, rate)
