"""Fraction of cosmic-ray hits found by their charge, method by method, at one false-positive rate."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from uptheramp.validate.figures import style
from uptheramp.validate.metrics.intervals import clopper_pearson

COLOURS = {
    "two-point": style.SOFT,
    "sigma clip": style.WARN,
    "likelihood": style.DATA,
    "template": style.ACCENT,
    "series": style.GOOD,
}
ACROSS = 3  # panels in a row

Counts = tuple[Sequence[float], Sequence[int]]  # hits found and hits there, by class of charge


@style.styled
def jump_efficiency(cases: Mapping[str, Mapping[str, Counts]], edges_sigma: Sequence[float], rate: str) -> Figure:
    """Draw a panel for each case, a line for each of its methods, with 68 % intervals.

    Parameters
    ----------
    cases
        Title of a panel -> method -> counts by class.
    edges_sigma
        Lower edges of the classes, in standard deviations of a difference of groups.
    rate
        The false-positive rate, as the title says it.
    """
    across = min(len(cases), ACROSS)
    down = -(-len(cases) // across)
    figure = Figure(figsize=(4.2 * across, 4.0 * down), layout="constrained")
    axes = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for ax, (title, methods) in zip(axes.flat, cases.items(), strict=False):
        for number, (method, colour) in enumerate(COLOURS.items()):
            if method not in methods:
                continue
            found, there = (np.array(counts) for counts in methods[method])
            low, high = np.array([clopper_pearson(round(f), n) for f, n in zip(found, there, strict=True)]).T
            beside = 1 + 0.012 * (number - len(COLOURS) // 2)  # so that bars do not hide each other
            fraction = found / np.maximum(there, 1)
            bars = np.maximum([fraction - low, high - fraction], 0)
            ax.errorbar(np.array(edges_sigma) * beside, fraction, bars, color=colour, marker="o", ms=4, label=method)
        ax.set_title(title)
        ax.set_xscale("log")
        ax.set_xticks(edges_sigma, [f"{k:.0f}" for k in edges_sigma])
        ax.minorticks_off()
        ax.set_xlabel("charge of the hit / sigma of a difference")
    for ax in axes.flat[len(cases) :]:
        ax.remove()
    for row in axes:
        row[0].set_ylabel("fraction found")
    axes[0, 0].legend(loc="lower right")
    figure.suptitle(f"Hits found, false-positive rate {rate}", x=0.01, ha="left")
    return figure
