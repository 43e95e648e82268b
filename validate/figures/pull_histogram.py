"""The distribution of whitened pulls beside the unit normal."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from uptheramp.validate.figures import style


@style.styled
def pull_histogram(pulls: Float[ndarray, "*seed bin"]) -> Figure:
    """Draw whitened pulls z = L^-1 (D^ - D) as a density, with the unit normal they should follow."""
    z = pulls[np.isfinite(pulls)]
    reach = max(4.0, float(np.ceil(np.abs(z).max()))) if z.size else 4.0
    cells = int(np.clip(np.sqrt(z.size) * 1.5, 8, 60))
    figure = style.new_figure(6.4, 5.0)
    axes = figure.subplots()
    axes.hist(z, bins=np.linspace(-reach, reach, cells + 1), density=z.size > 0, color=style.DATA, alpha=0.75)
    x = np.linspace(-reach, reach, 300)
    axes.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi), color=style.MODEL, lw=2.0, label="unit normal")
    if z.size > 1:
        axes.set_title(f"{z.size} pulls: mean {z.mean():+.2f}, scatter {z.std(ddof=1):.2f}")
    axes.set_xlabel("Whitened pull z")
    axes.set_ylabel("Density")
    axes.legend()
    return figure
