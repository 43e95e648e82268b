"""How non-linear pixels are: the factor that makes a signal linear, by signal."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from uptheramp.validate.figures import style


@style.styled
def correction_curves(
    signal_dn: Float[ndarray, "signal"],
    found: Float[ndarray, "signal pixel"],
    truth: Float[ndarray, "signal pixel"] | None,
) -> Figure:
    """Draw median, 16 % and 84 % of the factor over pixels, and the truth's where it is known."""
    figure = style.new_figure(6.8, 4.6)
    axes = figure.subplots()
    low, middle, high = np.nanquantile(found, [0.16, 0.5, 0.84], axis=1)
    axes.fill_between(signal_dn, low, high, color=style.DATA, alpha=0.25, lw=0)
    axes.plot(signal_dn, middle, color=style.DATA, label="fitted, median and 68 % of the pixels")
    if truth is not None:
        axes.plot(signal_dn, np.median(truth, axis=1), "--", color=style.TRUTH, label="true median")
    axes.set_xlabel("Signal since reset (DN)")
    axes.set_ylabel("Factor to linear, over that at the first")
    axes.legend(loc="upper left")
    return figure
