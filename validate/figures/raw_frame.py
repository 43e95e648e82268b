"""What the detector saw, before and after: first and last group as read, and the calibrated rate image."""

import numpy as np
from jaxtyping import Bool, Float, Num
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, Normalize
from matplotlib.figure import Figure
from numpy import ndarray

from uptheramp.validate.figures import style

MARKED = 2000  # more marks than this would hide the image


def _limits(image: ndarray, low: float, high: float) -> tuple[float, float]:
    finite = image[np.isfinite(image)]
    if not finite.size:
        return 0.0, 1.0
    a, b = (float(v) for v in np.percentile(finite, [low, high]))
    return (a, b) if b > a else (a, a + 1.0)


def _squarish(image: ndarray) -> bool:
    """Whether three images stand better side by side."""
    return image.shape[1] < 2 * image.shape[0]


def _show(figure: Figure, axes: Axes, image: ndarray, norm: Normalize, title: str, unit: str) -> None:
    square = "equal" if _squarish(image) else "auto"
    drawn = axes.imshow(image, origin="lower", aspect=square, norm=norm, cmap=style.SEQUENTIAL, interpolation="nearest")
    axes.set_title(title)
    axes.grid(visible=False)
    axes.set_facecolor("#D9DCE1")
    bar = figure.colorbar(drawn, ax=axes, label=unit, pad=0.01, fraction=0.04)
    if isinstance(norm, AsinhNorm):  # even steps of colour: the usual ticks pile up near zero
        ticks = norm.inverse(np.linspace(0.0, 1.0, 4))
        bar.set_ticks(ticks, labels=[f"{v:,.0f}" if abs(v) >= 100.0 else f"{v:.2g}" for v in ticks])
        bar.minorticks_off()


def _mark(axes: Axes, mask: ndarray, colour: str, marker: str, label: str) -> None:
    rows, columns = np.nonzero(mask)
    keep = slice(None, None, 1 + len(rows) // MARKED)
    text = f"{label}: {len(rows)} pixels"
    axes.scatter(columns[keep], rows[keep], s=14, marker=marker, c=colour, linewidths=0.9, label=text, rasterized=True)


@style.styled
def raw_frame(
    first_group_dn: Num[ndarray, "y x"],
    last_group_dn: Num[ndarray, "y x"],
    rate: Float[ndarray, "y x"],
    *,
    saturated: Bool[ndarray, "y x"],
    flagged: Bool[ndarray, "y x"],
    dispersion_axis: int = 1,
    rate_unit: str = "DN/s",
) -> Figure:
    """Draw one integration's first and last raw group (DN) and its rate image, dispersion (axis 0: none) to the right.

    Saturated pixels are marked on the last group, unusable ones on the rate image. The rate is shown on an asinh scale
    so that the wings of the spectrum and the background are seen together.
    """
    turn = np.transpose if dispersion_axis == 2 else np.asarray
    along, across = ("y", "x") if dispersion_axis == 2 else ("x", "y")
    first, last, image = turn(first_group_dn), turn(last_group_dn), turn(rate)
    beside = _squarish(image)
    figure = style.new_figure(12.0, 3.9) if beside else style.new_figure(9.0, 6.8)
    panels = figure.subplots(*((1, 3) if beside else (3, 1)), sharex=True, sharey=True)
    _show(figure, panels[0], first, Normalize(*_limits(first, 1, 99.7)), "First group, as read", "DN")
    _show(figure, panels[1], last, Normalize(*_limits(last, 1, 99.7)), "Last group, as read", "DN")
    low, high = _limits(image, 1, 99.8)
    soft = max((high - low) / 50.0, 1e-12)
    _show(figure, panels[2], image, AsinhNorm(soft, low, high), "Calibrated rate (asinh scale)", rate_unit)
    _mark(panels[1], turn(saturated), style.MODEL, "x", "saturated")
    _mark(panels[2], turn(flagged), style.ACCENT, "x", "not used")
    for axes in panels[1:]:
        axes.legend(loc="upper right", framealpha=0.85, frameon=True, fontsize=10.5)
    for axes in panels[:1] if beside else panels:
        axes.set_ylabel(f"{across} (px)")
    for axes in panels if beside else panels[2:]:
        axes.set_xlabel(f"{along}, along the dispersion (px)" if dispersion_axis else f"{along} (px)")
    return figure
