"""Noise over its model, by spatial frequency."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from uptheramp.validate.figures import style


@style.styled
def mode_power(ratio: dict[str, Float[ndarray, "band"]]) -> Figure:
    """Draw power over model in equal bands of spatial frequency, one line for each exposure; 1 is a right model."""
    figure = style.new_figure(6.8, 4.4)
    axes = figure.subplots()
    for label, values in ratio.items():
        axes.plot((np.arange(len(values)) + 0.5) / len(values), values, "o-", label=label)
    axes.axhline(1.0, color=style.TRUTH, lw=1.0)
    axes.set_xlabel("Spatial frequency (1: neighbours opposite)")
    axes.set_ylabel("Power over model")
    axes.legend()
    return figure
