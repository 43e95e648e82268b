"""REFPIX: how IRS2 frames are corrected by their reference pixels."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta
from uptheramp.calibrate.kernels.interleaved import BLOCKS, LENGTH, NORMAL, OUTPUTS, REFERENCE, SECTION
from uptheramp.calibrate.kernels.irs2 import FREQUENCIES, SAMPLES

PAIR = 2  # reads of one reference pixel, one after the other


class Refpix(eqx.Module):
    """Factors by output and frequency (real, imaginary), and the reads that are not to be used.

    `alpha` weighs the reference output, `beta` the output's own reference pixels. `bad` has a row for each of the
    file's table, which are taken one after the other, by reads of a line in the order of the detector.
    """

    alpha: Float[Array, "output frequency part"]
    beta: Float[Array, "output frequency part"]
    bad: Bool[Array, "row read"]

    @staticmethod
    def needed(meta: ExposureMeta) -> bool:
        """Whether an exposure cannot do without."""
        return meta.interleaved

    @classmethod
    def from_file(cls, path: Path, meta: ExposureMeta) -> "Refpix":
        """Read the tables.

        Raises
        ------
        InputError
            If the file has no factors, or not one for each clock of a frame.
        """
        with fits.open(path, memmap=True) as hdus:
            if "IRS2" not in hdus:
                raise InputError(f"{path}: no extension IRS2; it is not a complete reference file")
            table = hdus["IRS2"].data
            if len(table) != 2 * SAMPLES:
                raise InputError(
                    f"{path}: {len(table)} rows in IRS2 where frames need {2 * SAMPLES}; give another file"
                )
            rows = hdus["DQ"].data if "DQ" in hdus and hdus["DQ"].data is not None else ()
            return cls.of_tables(table, [(row["OUTPUT"], row["ODD_EVEN"], row["MASK"]) for row in rows])

    @classmethod
    def of_tables(cls, factors: Mapping[str, np.ndarray], rows: Iterable[tuple[int, int, int]]) -> "Refpix":
        """From the columns alpha_0 ... beta_3, real and imaginary parts in turn, and OUTPUT, ODD_EVEN and MASK."""
        alpha, beta = (
            np.stack([_half(factors[f"{name}_{output}"]) for output in range(OUTPUTS)]) for name in ("alpha", "beta")
        )
        bad = [_reads(*(int(number) for number in row)) for row in rows]
        return cls(alpha, beta, np.array(bad, bool).reshape(-1, LENGTH))


def _half(column: np.ndarray) -> Float[np.ndarray, "frequency part"]:
    """The factors of non-negative frequencies that do to real signals what all of them do to the real part.

    Rows are real and imaginary parts in turn.
    """
    factor = np.ascontiguousarray(column, np.float32).view(np.complex64)
    mirrored = np.roll(factor[::-1], 1)
    half = ((factor + mirrored.conj()) / 2)[:FREQUENCIES]
    return np.stack([half.real, half.imag], -1)


def _reads(output: int, odd_even: int, mask: int) -> Bool[np.ndarray, "read"]:
    """The reads that a row of the table names: bits count the blocks, 1 and 2 the pixels of a block in time."""
    later = (odd_even if output % 2 else 3 - odd_even) - 1
    bad = np.zeros(LENGTH, bool)
    for block in range(BLOCKS):
        if mask >> block & 1:
            first = output * SECTION + NORMAL // 2 + block * (NORMAL + REFERENCE) + PAIR * later
            bad[first : first + PAIR] = True
    return bad
