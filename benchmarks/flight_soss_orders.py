"""Orders of a flight SOSS image taken apart with profiles from the image itself, beside published stellar spectra.

    python benchmarks/flight_soss_orders.py ../shared/realdata docs/flight/wasp-39_soss_orders.png

The WASP-39 median frame of Feinstein et al. 2023 (sky and field stars included) goes through `trace_profiles.fit` and
the solve by column, with traces and wavelengths of our instrument table. Beside it stand the spectra of two of their
pipelines. The figure shows what the model leaves of the image, cuts across the orders, and the spectra; prints the
scatter of their ratio about a running median. The data are not part of this project; their folder is laid out as its
MANIFEST says.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import median_filter

from uptheramp.calibrate.kernels import columns, trace_profiles
from uptheramp.scenarios.scenario import find
from uptheramp.simulate.calibration.soss_extraction import pastasoss
from uptheramp.simulate.observation import observe
from uptheramp.simulate.optics.alignment import Alignment

CUTS = (100, 400, 700, 1000, 1300)
READ = 5.0  # of the image's units, in the weights
ODD = 0.2  # of the median of its row's neighbours: the image has no flags, and this far from it a pixel is bad
PIPELINES = {"nirHiss": ("nirhiss_spectra.npy", ((0, 1), (2, 3))), "FIREFLy": ("firefly_spectra.npy", ((0, 1),))}


def main(data: Path, out: Path) -> None:
    """Write the figure."""
    image = np.load(data / "niriss_soss" / "flight_images" / "wasp39b_feinstein2023_medframe.npy").astype(float)
    scenario = find("wasp-39b-niriss-soss")
    wheel = Alignment(pupil_wheel_deg=-0.008)  # fitted to the traces of this image (docs/flight/images.md)
    seen = observe("niriss_soss", ngroups=2, nints=1, star=scenario.star, planet=scenario.planet, alignment=wheel)
    solution = pastasoss(seen)
    trace, lam = (np.asarray(x, float) for x in (solution.trace_px, solution.wavelength_um))
    around = median_filter(image, (1, 9))
    weight = np.where(np.abs(image - around) > ODD * np.maximum(around, READ), 0, 1 / (np.maximum(around, 0) + READ))
    weight[:, :4], weight[:, -4:], weight[-4:] = 0, 0, 0  # reference pixels
    profiles = trace_profiles.fit(image, weight, trace, lam)
    shapes = np.concatenate([profiles, np.ones((1, *image.shape))])
    inverse = columns.inverse(columns.gram(shapes, weight[None]))
    amount = np.asarray(np.einsum("nkmx,nmx->nkx", inverse, columns.total(shapes * weight, image[None])))[0]
    parts = shapes * amount[:, None]
    stored = {
        name: [tuple(np.load(data / STELLAR / file)[list(rows)]) for rows in orders]
        for name, (file, orders) in PIPELINES.items()
    }
    figure(out, image, parts, trace, lam, amount, stored)


STELLAR = Path("published/wasp-39b/feinstein2023_niriss/stellar_spectra")


def figure(
    out: Path,
    image: np.ndarray,
    parts: np.ndarray,
    trace: np.ndarray,
    lam: np.ndarray,
    amount: np.ndarray,
    stored: dict[str, list[tuple[np.ndarray, ...]]],
) -> None:
    """Draw the image, what is left of it, cuts across it, and spectra."""
    fig = plt.figure(figsize=(13, 15), layout="constrained")
    grid = fig.add_gridspec(5, len(CUTS), height_ratios=(1, 1, 1.2, 1.3, 1.3))
    left = image - parts.sum(0)
    scale = np.sqrt(np.maximum(parts.sum(0), 0) + READ)
    top, middle = fig.add_subplot(grid[0, :]), fig.add_subplot(grid[1, :])
    top.imshow(np.log10(np.maximum(image, 1)), aspect="auto", origin="lower", cmap="viridis")
    top.plot(trace.T, color="white", lw=0.5)
    top.set_title("median frame, log10; traces")
    shown = middle.imshow(left / scale, aspect="auto", origin="lower", cmap="RdBu", vmin=-3, vmax=3)
    fig.colorbar(shown, ax=middle, pad=0.01)
    middle.set_title("what the model leaves, over the root of the light")
    for k, x in enumerate(CUTS):
        ax = fig.add_subplot(grid[2, k])
        ax.semilogy(np.maximum(image[:, x] - amount[-1, x], 1e-2), ".k", ms=3)
        for n in range(len(trace)):
            ax.semilogy(np.maximum(parts[n, :, x], 1e-2), lw=1, label=f"order {n + 1}")
        ax.set(title=f"column {x}", ylim=(0.05, 1e3), xlabel="row")
    fig.axes[-1].legend(fontsize=7)
    for n in range(2):
        ax = fig.add_subplot(grid[3 + n, :])
        ax.plot(lam[n], amount[n], "k", lw=0.8, label="here, all light of the order")
        for name, spectra in stored.items():
            if n < len(spectra):
                there, flux = spectra[n]
                rising = np.argsort(there)
                theirs = np.interp(lam[n], there[rising], flux[rising])
                bright = np.isfinite(lam[n]) & (theirs > 0.2 * np.nanmax(theirs))
                ratio = amount[n, bright] / theirs[bright]
                factor = np.median(ratio)
                about = ratio / median_filter(ratio, 51)
                scatter = 1.4826 * np.median(np.abs(about - np.median(about)))
                ax.plot(there, factor * flux, lw=0.6, label=f"{name} x {factor:.2f}")
                print(f"order {n + 1} {name}: ratio {factor:.3f}, scatter {scatter:.4f}", flush=True)  # noqa: T201
        ax.set(xlabel="wavelength, micron", ylabel=f"order {n + 1}", ylim=(0, None))
        ax.legend(fontsize=8)
    fig.savefig(out, dpi=70)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
