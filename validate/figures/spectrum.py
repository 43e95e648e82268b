"""The transit depth spectrum, beside the truth where there is one."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from uptheramp.validate.figures import style

PERCENT = 100.0


def _truth(axes: Axes, wavelength_um: ndarray, half_width_um: ndarray, truth: ndarray) -> None:
    """Draw the true depth of each bin as a bar as wide as the bin."""
    axes.hlines(
        truth * PERCENT,
        wavelength_um - half_width_um,
        wavelength_um + half_width_um,
        color=style.TRUTH,
        lw=2.2,
        label="truth",
        zorder=3,
    )


def _pulls(axes: Axes, wavelength_um: ndarray, pulls: ndarray) -> None:
    for sigmas, alpha in ((2.0, 0.12), (1.0, 0.22)):
        axes.axhspan(-sigmas, sigmas, color=style.GOOD, alpha=alpha, lw=0)
    axes.axhline(0.0, color=style.TRUTH, lw=1.0)
    axes.plot(wavelength_um, pulls, "o", ms=5, color=style.DATA)
    reach = max(3.5, float(np.nanmax(np.abs(pulls))) * 1.15) if np.isfinite(pulls).any() else 3.5
    axes.set_ylim(-reach, reach)
    axes.set_ylabel("Pull (σ)")
    axes.set_title("Recovered minus true in units of the error; bands: 1 σ and 2 σ", fontsize=12.0)


@style.styled
def spectrum(
    wavelength_um: Float[ndarray, "bin"],
    half_width_um: Float[ndarray, "bin"],
    depth: Float[ndarray, "bin"],
    error: Float[ndarray, "bin"],
    truth: Float[ndarray, "bin"] | None = None,
) -> Figure:
    """Draw depths (fractions, shown in per cent) with error bars; with a truth, marginal pulls in a panel below."""
    figure = style.new_figure(9.0, 4.2 if truth is None else 6.0)
    if truth is None:
        top = bottom = figure.subplots()
    else:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1.0))
        _truth(top, wavelength_um, half_width_um, truth)
        _pulls(bottom, wavelength_um, (depth - truth) / error)
    top.errorbar(
        wavelength_um,
        depth * PERCENT,
        error * PERCENT,
        fmt="o",
        ms=5.5,
        lw=1.4,
        capsize=2.5,
        color=style.DATA,
        label="recovered",
        zorder=4,
    )
    top.set_ylabel("Transit depth (%)")
    top.legend(loc="best", ncols=2)
    bottom.set_xlabel("Wavelength (µm)")
    return figure
