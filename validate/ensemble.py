"""What some seeds of one mode recovered, and which bins of it can be judged."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """What S seeds of one mode recovered; depths as fractions.

    `partner` is what the antitheses of the first seeds recovered (every normal deviate with the other sign): averages
    of pairs, quieter by far and as unbiased, decide the equivalence; all other statistics are those of the seeds.
    `twin` is the noise-free twin's depth D0; `residuals` the degrees of freedom from which errors were estimated (None
    where they are known); `ers_sigma_ppm` the error of the ERS-size visit's R = 100 bin from L_all.
    """

    mode: str
    wavelength_um: Float[ndarray, "bin"]
    depth: Float[ndarray, "seed bin"]
    covariance: Float[ndarray, "seed bin bin"]
    truth: Float[ndarray, "*seed bin"]
    twin: Float[ndarray, "*seed bin"] | None = None
    residuals: int | None = None
    ers_sigma_ppm: float | None = None
    partner: Float[ndarray, "pair bin"] | None = None


def usable_bins(x: Ensemble) -> Bool[ndarray, "bin"]:
    """Bins whose depth, truth and variance are finite in every seed (a bin without light has none)."""
    variance = np.stack([c.diagonal() for c in x.covariance])
    usable = np.all(np.isfinite(x.depth + x.truth + variance) & (variance > 0.0), axis=0)
    return usable if x.partner is None else usable & np.isfinite(x.partner).all(axis=0)


def only(x: Ensemble, use: Bool[ndarray, "bin"]) -> Ensemble:
    """The same seeds with some of the bins."""
    return replace(
        x,
        wavelength_um=x.wavelength_um[use],
        depth=x.depth[:, use],
        covariance=x.covariance[:, use][:, :, use],
        truth=x.truth[..., use],
        twin=None if x.twin is None else x.twin[..., use],
        partner=None if x.partner is None else x.partner[:, use],
    )
