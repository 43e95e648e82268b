"""Which pixels move a spectrum: a map for each uncertain reference."""

import numpy as np
from jaxtyping import Float
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy import ndarray

from uptheramp.validate.figures import style

DECADES = 4


@style.styled
def sensitivity_maps(maps: dict[str, Float[ndarray, "y x"]]) -> Figure:
    """Draw what the error of each single pixel does to the depths (rms over bins, ppm), a panel a reference."""
    rows, columns = next(iter(maps.values())).shape
    turned = rows > columns
    figure = style.new_figure(11.0, 1.2 + 1.9 * len(maps))
    panels = np.atleast_1d(figure.subplots(len(maps), 1))
    for axes, (name, image) in zip(panels, maps.items(), strict=True):
        top = float(image.max()) or 1.0
        shown = np.maximum(image.T if turned else image, top / 10**DECADES)
        norm = LogNorm(top / 10**DECADES, top)
        drawn = axes.imshow(shown, norm=norm, aspect="auto", origin="lower", cmap=style.SEQUENTIAL)
        axes.grid(visible=False)
        axes.set_title(name)
        figure.colorbar(drawn, ax=axes, label="ppm")
    return figure
