"""RSCD: how many groups MIRI's reset switch charge decay spoils."""

from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.references import base


class Rscd(eqx.Module):
    """Groups to leave out at the start of the first integration and of all others (both 0: nothing to do)."""

    group_skip1: int = eqx.field(static=True)
    group_skip: int = eqx.field(static=True)

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Rscd":
        """The row of the exposure's SUBARRAY and READPATT; none means nothing to skip."""
        with fits.open(path, memmap=False) as hdus:
            tables = [h for h in hdus if isinstance(h, fits.BinTableHDU) and "group_skip" in fits.ColDefs(h).names]
            if not tables:
                raise InputError(
                    f"{path}: no table with group_skip; it is not an RSCD reference of this pipeline version"
                )
            for row in tables[0].data:
                if (str(row["subarray"]).strip(), str(row["readpatt"]).strip()) == (meta.subarray, meta.pattern):
                    first = int(row["group_skip1"])
                    # files from before the first integration had its own number mark it by a negative one
                    return cls(first if first >= 0 else 1, int(row["group_skip"]))
        return cls.neutral(meta)

    def to_file(self, path: Path, meta: ExposureMeta) -> None:
        """Write in CRDS format."""
        from stdatamodels.jwst import datamodels

        columns = [("subarray", "S17"), ("readpatt", "S12"), ("group_skip1", "i4"), ("group_skip", "i4")]
        table = np.array([(meta.subarray, meta.pattern, self.group_skip1, self.group_skip)], dtype=columns)
        with datamodels.RSCDModel(rscd_group_skip_table=table) as model:
            base.save(base.describe(model, meta, "RSCD", window=False), path)

    @classmethod
    def neutral(cls, meta: ExposureMeta) -> "Rscd":
        """Nothing to skip."""
        return cls(0, 0)
