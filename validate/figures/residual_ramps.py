"""What a fit of ramps left over: residual differences of groups, averaged over pixels, and the chi-squares."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from uptheramp.validate.figures import style


@style.styled
def residual_ramps(
    whitened: Float[ndarray, "level difference pixel"],
    chi_square: Float[ndarray, "pixel"],
    freedom: Float[ndarray, "pixel"],
    labels: tuple[str, ...],
) -> Figure:
    """Draw mean whitened residuals with their standard errors by level, and chi-square per degree of freedom.

    Whitened residuals are of unit variance where the model is right; NaN where not used.
    """
    figure = style.new_figure(11.0, 4.6)
    left, right = figure.subplots(1, 2)
    for level, label in zip(whitened, labels, strict=True):
        count = np.maximum(np.isfinite(level).sum(1), 1)
        mean = np.nansum(level, axis=1) / count
        number = np.arange(1, len(mean) + 1)
        left.errorbar(number, mean, 1 / np.sqrt(count), fmt="o-", ms=5, lw=1.2, capsize=2, label=label)
    left.axhline(0.0, color=style.TRUTH, lw=1.0)
    left.set_xlabel("Difference of groups")
    left.set_ylabel("Mean residual (sigma of one pixel)")
    left.legend()
    good = freedom > 0
    ratio = chi_square[good] / freedom[good]
    high = max(3.0, float(np.quantile(ratio, 0.99))) if ratio.size else 3.0
    edges = np.linspace(0, high, 50)
    right.hist(ratio, bins=edges, density=True, color=style.DATA, alpha=0.75, label="pixels")
    if good.any():
        k = float(np.median(freedom[good]))
        x = np.linspace(1e-3, high, 400)
        log = (k / 2 - 1) * np.log(x * k) - x * k / 2
        density = np.exp(log - log.max())
        right.plot(x, density / (density.sum() * (x[1] - x[0])), color=style.MODEL, lw=2.0, label=f"{k:.1f} degrees")
    right.set_xlabel("Chi-square per degree of freedom")
    right.set_ylabel("Density")
    right.legend()
    return figure
