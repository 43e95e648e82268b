"""The mean error of each wavelength bin over seeds, beside what a perfect pipeline would keep."""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from numpy import ndarray

from uptheramp.validate.figures.interactive.look import COLOURS, empty, faded


def bias_spectrum(
    wavelength_um: Float[ndarray, "bin"],
    bias_ppm: Float[ndarray, "bin"],
    error_ppm: Float[ndarray, "bin"],
    algorithmic_ppm: Float[ndarray, "bin"],
    rmse_ppm: Float[ndarray, "bin"],
) -> go.Figure:
    """Draw bias with error bars, the noise-free twin's where it is finite, and +-RMSE of one seed as a band."""
    figure = empty("Wavelength (µm)", "Recovered minus true depth (ppm)")
    x, rms = list(wavelength_um), np.asarray(rmse_ppm)
    figure.add_scatter(
        x=x + x[::-1],
        y=list(rms) + list(-rms[::-1]),
        fill="toself",
        fillcolor=faded(COLOURS[6]),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        name="error of one visit (rms)",
    )
    figure.add_scatter(
        x=x,
        y=list(bias_ppm),
        error_y={"type": "data", "array": list(error_ppm), "thickness": 1.2, "width": 2},
        mode="markers",
        marker={"color": COLOURS[0], "size": 6},
        name="mean over seeds",
    )
    if np.isfinite(algorithmic_ppm).any():
        twin = {"color": COLOURS[1], "width": 2}
        figure.add_scatter(x=x, y=list(algorithmic_ppm), mode="lines", line=twin, name="without noise (twin)")
    figure.add_hline(y=0, line={"dash": "dot", "width": 1.2, "color": "#8A8F98"})
    return figure
