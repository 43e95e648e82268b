"""How uncertainties move a spectrum, against wavelength."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from uptheramp.validate.figures import style


@style.styled
def sensitivity_spectra(
    wavelength_um: Float[ndarray, "channel"],
    error_ppm: Float[ndarray, "channel"],
    shifts_ppm: dict[str, Float[ndarray, "channel"]],
) -> Figure:
    """Draw the size of each shift of the depths (ppm) beside the error that noise gives them."""
    figure = style.new_figure(11.0, 5.0)
    axes = figure.subplots()
    order = np.argsort(wavelength_um)
    axes.plot(wavelength_um[order], error_ppm[order], color=style.TRUTH, lw=2.0, ls="--", label="its noise")
    for name, shift in shifts_ppm.items():
        axes.plot(wavelength_um[order], np.abs(shift[order]), lw=1.4, label=name)
    axes.set_yscale("log")
    axes.set_xlabel("Wavelength (micron)")
    axes.set_ylabel("Size of the depth's shift (ppm)")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))  # beside curves that fill the axes
    return figure
