"""All light curves at once: time against wavelength."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from uptheramp.validate.figures import style

ROWS = 400  # a screen shows no more


def _rows(wavelength_um: ndarray, flux: ndarray) -> tuple[ndarray, ndarray]:
    """Sort by wavelength, drop what has none, and average neighbours until the screen can show them."""
    use = np.isfinite(wavelength_um) & np.isfinite(flux).any(axis=1)
    order = np.argsort(wavelength_um[use])
    wavelength, flux = wavelength_um[use][order], flux[use][order]
    step = -(-len(wavelength) // ROWS)
    count = len(wavelength) // step * step
    return (
        wavelength[:count].reshape(-1, step).mean(axis=1),
        flux[:count].reshape(-1, step, flux.shape[1]).mean(axis=1),
    )


@style.styled
def light_curve_2d(
    time_h: Float[ndarray, "time"], wavelength_um: Float[ndarray, "wavelength"], flux: Float[ndarray, "wavelength time"]
) -> Figure:
    """Draw flux(wavelength, time) divided by each wavelength's median of the first and last tenth; NaN is grey."""
    wavelength, values = _rows(np.asarray(wavelength_um, float), np.asarray(flux, float))
    edge = max(1, values.shape[1] // 10)
    ends = np.concatenate([values[:, :edge], values[:, -edge:]], axis=1)
    level = np.nanmedian(np.where(np.isfinite(ends).any(axis=1, keepdims=True), ends, 1.0), axis=1, keepdims=True)
    values = values / np.where(level == 0.0, np.nan, level)
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [1.0, 99.0]) if finite.size else (0.98, 1.01)
    figure = style.new_figure(9.0, 4.6)
    axes = figure.subplots()
    mesh = axes.pcolormesh(
        time_h, wavelength, values, shading="nearest", cmap=style.SEQUENTIAL, vmin=low, vmax=high, rasterized=True
    )
    axes.set_facecolor("#D9DCE1")
    axes.grid(visible=False)
    axes.set_xlabel("Time from mid-transit (h)")
    axes.set_ylabel("Wavelength (µm)")
    figure.colorbar(mesh, ax=axes, label="Relative flux", pad=0.01, extend="both")
    return figure
