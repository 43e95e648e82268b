"""Our depths beside published spectra of the same planet."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from uptheramp.validate.figures import style

PERCENT = 100.0
COLOURS = (style.SOFT, style.WARN, style.ACCENT, style.GOOD, "#56B4E9", style.MODEL)
Curve = tuple[ndarray, ndarray, ndarray]  # wavelength (um), depth, error


@style.styled
def spectrum_comparison(
    wavelength_um: Float[ndarray, "bin"],
    half_width_um: Float[ndarray, "bin"],
    depth: Float[ndarray, "bin"],
    error: Float[ndarray, "bin"],
    published: Mapping[str, Curve],
) -> Figure:
    """Draw depths (ratios, shown in per cent), widths as horizontal bars, over the published spectra by name."""
    figure = style.new_figure(10.0, 5.0)
    axes = figure.subplots()
    for (name, (x, y, sigma)), colour in zip(published.items(), COLOURS * len(published), strict=False):
        axes.errorbar(x, y * PERCENT, sigma * PERCENT, fmt=".", ms=4, lw=0.8, color=colour, alpha=0.55, label=name)
    axes.errorbar(
        wavelength_um,
        depth * PERCENT,
        error * PERCENT,
        half_width_um,
        fmt="o",
        ms=6,
        lw=2.0,
        capsize=3,
        color=style.DATA,
        label="this fit",
        zorder=5,
    )
    seen = np.concatenate([depth, *(y for _, y, _ in published.values())])
    low, high = np.nanpercentile(seen, [1.0, 99.0]) * PERCENT
    axes.set_ylim(low - 0.4 * (high - low), high + 0.4 * (high - low))
    axes.set_xlabel("Wavelength (µm)")
    axes.set_ylabel("Depth (%)")
    axes.legend(loc="upper left", ncols=2, fontsize=10.0)
    return figure
