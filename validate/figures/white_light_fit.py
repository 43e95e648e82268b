"""A fitted light curve: data and model, residuals, and how the residuals average down."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter
from numpy import ndarray

from uptheramp.validate.figures import style

PPM = 1e6
FEWEST_BINS = 6


def binned_rms(residuals: Float[ndarray, "time"]) -> tuple[Float[ndarray, "size"], Float[ndarray, "size"]]:
    """Return bin sizes N (points) and the rms of means of N residuals, while at least `FEWEST_BINS` bins remain."""
    r = residuals[np.isfinite(residuals)]
    sizes = np.unique(np.geomspace(1, max(len(r) // FEWEST_BINS, 1), 25).astype(int))
    rms = [np.sqrt(np.mean(r[: len(r) // n * n].reshape(-1, n).mean(axis=1) ** 2)) for n in sizes]
    return sizes, np.array(rms)


def white_noise_rms(first: float, sizes: ndarray, points: int) -> Float[ndarray, "size"]:
    """Return what independent residuals of the same rms average to: rms_1 N^-1/2 (M / (M - 1))^1/2 (METRICS)."""
    bins = points // sizes
    return first / np.sqrt(sizes) * np.sqrt(bins / np.maximum(bins - 1, 1))


def _averaging(axes: Axes, residual_ppm: ndarray, cadence_min: float) -> None:
    sizes, rms = binned_rms(residual_ppm)
    white = white_noise_rms(rms[0], sizes, int(np.isfinite(residual_ppm).sum()))
    axes.loglog(sizes * cadence_min, white, color=style.MODEL, lw=1.8, label="white noise")
    axes.loglog(sizes * cadence_min, rms, "o-", ms=4.5, lw=1.2, color=style.DATA, label="residuals")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    axes.set_yticks(_decades(rms))
    axes.set_xlabel("Bin length (min)")
    axes.set_ylabel("rms (ppm)")
    axes.legend(loc="lower left")


def _decades(values: ndarray) -> ndarray:
    """Pick round numbers 1, 2, 5, 10, ... that lie among the values."""
    marks = np.outer(10.0 ** np.arange(-3, 7), (1, 2, 5)).ravel()
    return marks[(marks > 0.8 * np.nanmin(values)) & (marks < 1.25 * np.nanmax(values))]


def _points(axes: Axes, x: ndarray, y: ndarray, error: ndarray | None) -> None:
    axes.errorbar(x, y, error, fmt="o", ms=2.6, lw=0.6, color=style.DATA, alpha=0.55)


@style.styled
def white_light_fit(
    time_h: Float[ndarray, "time"],
    flux: Float[ndarray, "time"],
    model: Float[ndarray, "time"],
    error: Float[ndarray, "time"] | None = None,
    title: str = "",
) -> Figure:
    """Draw relative flux with the fit, residuals (ppm), and the residuals' rms against bin length beside white noise.

    `time_h` is the time from mid-transit in hours.
    """
    residual = (flux - model) * PPM
    figure = style.new_figure(11.0, 5.8)
    grid = figure.add_gridspec(2, 2, width_ratios=(2.1, 1.0), height_ratios=(2.0, 1.0))
    top = figure.add_subplot(grid[0, 0])
    bottom = figure.add_subplot(grid[1, 0], sharex=top)
    _points(top, time_h, flux, error)
    top.plot(time_h, model, color=style.MODEL, lw=2.0, zorder=3)
    top.set_ylabel("Relative flux")
    top.ticklabel_format(axis="y", useOffset=False)
    top.tick_params(labelbottom=False)
    top.set_title(title)
    _points(bottom, time_h, residual, None if error is None else error * PPM)
    bottom.axhline(0.0, color=style.MODEL, lw=1.5)
    bottom.set_title(f"rms {np.sqrt(np.nanmean(residual**2)):.0f} ppm", fontsize=12.0)
    bottom.set_ylabel("Residual (ppm)")
    bottom.set_xlabel("Time from mid-time (h)")
    _averaging(figure.add_subplot(grid[:, 1]), residual, float(np.median(np.diff(time_h))) * 60.0)
    return figure
