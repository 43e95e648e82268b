"""The true depth of a wavelength bin, as the instrument blurs it and the extraction weighs it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


def truth_depth(
    flux_e_per_s: Float[ndarray, "pixel"],
    depth_flux_e_per_s: Float[ndarray, "pixel"],
    weights: Float[ndarray, "pixel"],
    bins: Sequence[Int[ndarray, "member"]],
    aperture_fraction: Float[ndarray, "pixel"] | float = 1.0,
) -> Float[ndarray, "bin"]:
    """Compute the true depth D_b = sum w [L * (T F k^2)] / sum w [L * (T F)] over the dispersion pixels of each bin.

    `flux_e_per_s` is L * (T F), the blurred stellar spectrum on dispersion pixels; `depth_flux_e_per_s` L * (T F k^2):
    the line spread acts on the depth-weighted flux, not on k. `aperture_fraction` is the part of a pixel's light (in
    the noiseless rate image) that the extraction sums, `weights` are those with which its spectrum was binned. `bins`
    lists the dispersion pixels of each bin; a bin without light is NaN.
    """
    w = np.asarray(weights, float) * aperture_fraction
    light = np.array([np.sum((w * flux_e_per_s)[list(b)]) for b in bins])
    lost = np.array([np.sum((w * depth_flux_e_per_s)[list(b)]) for b in bins])
    return np.where(light > 0.0, lost, np.nan) / np.where(light > 0.0, light, 1.0)


def aperture_fraction(
    noiseless_rate: Float[ndarray, "pixel across"], aperture: Float[ndarray, "pixel across"]
) -> Float[ndarray, "pixel"]:
    """Part of each dispersion pixel's light inside the aperture: sum aperture x rate / sum rate across the dispersion.

    `aperture` holds the fraction of each pixel that the box takes (0..1); a pixel without light has fraction 0.
    """
    total = noiseless_rate.sum(axis=1, dtype=float)
    inside = (noiseless_rate * aperture).sum(axis=1, dtype=float)
    return np.where(total > 0.0, inside, 0.0) / np.where(total > 0.0, total, 1.0)
