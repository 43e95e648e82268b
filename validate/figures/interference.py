"""Interference in the read-out: lines in the spectrum of the numbers, before and after its model, and the waves."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from uptheramp.validate.figures import style

COLUMNS = 400  # of the spectrum, of equal ratios: each shows its highest line
Spectrum = tuple[Float[ndarray, "f"], Float[ndarray, "f"]]


@style.styled
def interference(
    before: Spectrum, after: Spectrum, threshold: float, waves: dict[str, Float[ndarray, "phase"]]
) -> Figure:
    """Draw the highest power (of mean noise) by frequency (Hz) before and after, and the waves (DN) over phase."""
    figure = style.new_figure(11.0, 4.6)
    left, right = figure.subplots(1, 2)
    for (frequency, power), label, colour in ((before, "data", style.SOFT), (after, "less the tones", style.DATA)):
        edges = np.geomspace(frequency[0], frequency[-1] * (1 + 1e-9), COLUMNS + 1)
        place = np.searchsorted(edges, frequency, side="right") - 1
        highest = np.zeros(COLUMNS)
        np.maximum.at(highest, np.clip(place, 0, COLUMNS - 1), power)
        left.plot(np.sqrt(edges[1:] * edges[:-1])[highest > 0], highest[highest > 0], color=colour, lw=1.0, label=label)
    left.axhline(threshold, color=style.TRUTH, lw=1.0, label="noise stays below")
    left.set(xscale="log", yscale="log", xlabel="Frequency (Hz)", ylabel="Power over that of noise")
    left.legend()
    for label, wave in waves.items():
        right.plot((np.arange(len(wave)) + 0.5) / len(wave), wave, label=label)
    right.set(xlabel="Phase (turns)", ylabel="Wave (DN)")
    right.legend()
    return figure
