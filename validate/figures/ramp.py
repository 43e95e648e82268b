"""One pixel's ramp: as read, made linear, and the fitted slope."""

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from numpy import ndarray

from uptheramp.validate.figures import style


@style.styled
def ramp(
    time_s: Float[ndarray, "group"],
    raw_dn: Float[ndarray, "group"],
    linear_dn: Float[ndarray, "group"] | None,
    slope_dn_per_s: float,
    usable: Bool[ndarray, "group"],
    *,
    title: str = "",
) -> Figure:
    """Draw a pixel's groups (DN, from the first) raw and linearised, with the fitted line, and residuals from it below.

    The line has the fitted slope and passes through the mean of the usable groups: the slope comes from differences,
    it has no zero point of its own.
    """
    shown = raw_dn if linear_dn is None else linear_dn
    line = slope_dn_per_s * time_s
    line = line + np.mean((shown - line)[usable]) if usable.any() else line + shown[0]
    figure = style.new_figure(6.4, 5.0)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 1.0))
    top.plot(time_s, raw_dn - raw_dn[0], "s", ms=5, mfc="none", color=style.SOFT, label="as read")
    if linear_dn is not None:
        top.plot(time_s, shown - shown[0], "o", ms=5, color=style.DATA, label="calibrated")
    top.plot(time_s, line - shown[0], color=style.MODEL, lw=1.8, label=f"fit, {slope_dn_per_s:.4g} DN/s")
    bottom.axhline(0.0, color=style.MODEL, lw=1.5)
    bottom.plot(time_s[usable], (shown - line)[usable], "o", ms=5, color=style.DATA)
    bottom.plot(time_s[~usable], (shown - line)[~usable], "x", ms=7, color=style.ACCENT, label="not used")
    if not usable.all():
        bottom.legend(loc="best")
    top.set_title(title)
    top.set_ylabel("Signal since group 1 (DN)")
    top.legend(loc="upper left")
    bottom.set_ylabel("Residual (DN)")
    bottom.set_xlabel("Time since reset (s)")
    return figure
