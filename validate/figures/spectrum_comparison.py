"""Our depths beside published spectra of the same planet."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from uptheramp.validate.figures import style

PERCENT = 100.0
COLOURS = (style.SOFT, style.WARN, style.ACCENT, style.GOOD, "#56B4E9", style.MODEL)
Curve = tuple[ndarray, ndarray, ndarray]  # wavelength (um), depth, error


def _ours(axes: Axes, x: ndarray, half_width: ndarray, depth: ndarray, error: ndarray) -> None:
    placed = np.isfinite(x)
    look = {"color": style.DATA, "zorder": 5}
    if placed.any():
        y, sigma, width = depth[placed] * PERCENT, error[placed] * PERCENT, half_width[placed]
        axes.errorbar(x[placed], y, sigma, width, fmt="o", ms=4.5, lw=1.5, capsize=2, label="this fit", **look)
    for y, sigma in zip(depth[~placed] * PERCENT, error[~placed] * PERCENT, strict=True):
        axes.axhline(y, lw=1.5, label="this fit, all wavelengths", **look)
        axes.axhspan(y - sigma, y + sigma, color=style.DATA, alpha=0.3, lw=0)


@style.styled
def spectrum_comparison(
    wavelength_um: Float[ndarray, "bin"],
    half_width_um: Float[ndarray, "bin"],
    depth: Float[ndarray, "bin"],
    error: Float[ndarray, "bin"],
    published: Mapping[str, Curve],
) -> Figure:
    """Draw depths (ratios, shown in per cent), widths as horizontal bars, over the published spectra by name.

    A depth whose wavelength is NaN (a white light curve) is a horizontal line with its error as a band.
    """
    figure = style.new_figure(10.0, 5.0)
    axes = figure.subplots()
    for (name, (x, y, sigma)), colour in zip(published.items(), COLOURS * len(published), strict=False):
        axes.errorbar(x, y * PERCENT, sigma * PERCENT, fmt=".", ms=4, lw=0.8, color=colour, alpha=0.55, label=name)
    _ours(axes, wavelength_um, half_width_um, depth, error)
    seen = np.concatenate([depth, *(y for _, y, _ in published.values())])
    low, high = np.nanpercentile(seen, [1.0, 99.0]) * PERCENT
    axes.set_ylim(low - 0.4 * (high - low), high + 0.4 * (high - low))
    axes.set_xlabel("Wavelength (µm)")
    axes.set_ylabel("Depth (%)")
    figure.legend(loc="outside lower center", ncols=2, fontsize=10.0)
    return figure
