"""The white light curve with its model, and what is left."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from uptheramp.validate.figures import style

PPM = 1e6


@style.styled
def white_light(
    time_h: Float[ndarray, "time"],
    flux: Float[ndarray, "time"],
    error: Float[ndarray, "time"],
    model: Float[ndarray, "time"],
    *,
    beta: Mapping[str, float] | None = None,
    expected_ppm: float | None = None,
) -> Figure:
    """Draw normalised flux with the fitted model above, residuals (ppm) with their rms and red noise below.

    `beta` maps a bin length in words to beta(N); `expected_ppm` is the limit on the scatter of one point.
    """
    residual = (flux - model) * PPM
    rms = float(np.sqrt(np.nanmean(residual**2)))
    figure = style.new_figure(9.0, 5.6)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1.0))
    top.errorbar(time_h, flux, error, fmt="o", ms=3.5, lw=0.8, color=style.DATA, alpha=0.75, label="data")
    top.plot(time_h, model, color=style.MODEL, lw=2.0, zorder=3, label="fit")
    top.set_ylabel("Relative flux")
    top.ticklabel_format(axis="y", useOffset=False)
    top.legend(loc="lower left")
    bottom.axhline(0.0, color=style.MODEL, lw=1.5)
    bottom.errorbar(time_h, residual, error * PPM, fmt="o", ms=3.5, lw=0.8, color=style.DATA, alpha=0.75)
    words = [f"rms {rms:.0f} ppm"]
    if expected_ppm is not None:
        words.append(f"limit {expected_ppm:.0f} ppm")
    words += [f"β({name}) = {value:.2f}" for name, value in (beta or {}).items() if np.isfinite(value)]
    bottom.set_title("   ".join(words), fontsize=12.0)
    bottom.set_ylabel("Residual (ppm)")
    bottom.set_xlabel("Time from mid-transit (h)")
    return figure
