"""The median frame of a flight exposure extracted by us, beside the spectra and the trace that another pipeline stored.

    python benchmarks/flight_extraction.py ../shared/realdata/eureka_specdata/niriss_SpecData.h5 docs/flight

WASP-94 A b, NIRISS SOSS order 1, three integrations (a regression file of Eureka!, which is not part of this project;
reading it needs the extra `flight`). Its frame is background-subtracted and stands straight: each column was moved by
whole pixels. Here the columns are moved back, so that the trace is where the detector had it, and `extract_1d` takes a
box with sub-pixel edges, and the optimal extraction with each kind of profile. Writes a figure and prints the table.
"""

import sys
from pathlib import Path

import equinox as eqx
import matplotlib.pyplot as plt
import numpy as np

from uptheramp.calibrate.kernels import trace_profile
from uptheramp.calibrate.kernels.aperture import coverage
from uptheramp.calibrate.references.extract1d import Extract1d
from uptheramp.calibrate.stage2.extract_1d import Extract1dParams, Extract1dRefs, extract_1d, learn_profile
from uptheramp.calibrate.state import Rates

try:
    import h5py
except ModuleNotFoundError:
    sys.exit("flight_extraction.py reads an HDF5 file: install h5py by pip install -e '.[flight]'")

HALF_PX = 17.5  # of the stored box: 17 pixels on either side of the middle one
MIDDLE_ROW = 30  # where the straightened trace was put
READ_E = 15.0  # of a pixel of the stored frame: what weighs faint pixels
TRACE_DEGREE = 7  # of the edges of the aperture
KINDS = ("median", "smoothed", "spline")


def unrolled(frame: np.ndarray, trace: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frame with its columns where the trace is, and the trace in its rows."""
    moved = np.round(trace).astype(int)
    start = moved.min()
    height = 2 * MIDDLE_ROW + moved.max() - start
    image = np.zeros((height, frame.shape[1]))
    for column, by in enumerate(moved - start):
        image[by : by + 2 * MIDDLE_ROW, column] = frame[: 2 * MIDDLE_ROW, column]
    return image, trace - start + MIDDLE_ROW


def extracted(image: np.ndarray, aperture: Extract1d, wavelength: np.ndarray, **choices) -> tuple[np.ndarray, ...]:
    """Flux and error by column."""
    planes = (image, np.maximum(image, 0), np.full_like(image, READ_E**2), np.zeros_like(image))
    state = Rates(
        *(p[None] for p in planes),
        np.zeros((1, *image.shape), np.uint32),
        np.arange(1),
        np.broadcast_to(wavelength, image.shape),
        unit="electron",
    )
    params = Extract1dParams(background="none", trace=False, **choices)
    refs = Extract1dRefs(aperture, None)

    @eqx.filter_jit
    def run(state):
        return extract_1d(state, Extract1dRefs(aperture, learn_profile(state, refs, params)), params)[0]

    out = run(state)
    return np.asarray(out.flux)[0], np.asarray(out.err)[0]


def main(path: Path, folder: Path) -> None:
    with h5py.File(path) as file:
        frame, trace, box, optimal, error, wavelength = (
            np.asarray(file[name], float) for name in ("medflux", "trace", "stdspec", "optspec", "opterr", "wave_1d")
        )
    image, row = unrolled(frame, trace)
    column = np.arange(len(row))
    line = np.polynomial.Polynomial.fit(column, row, TRACE_DEGREE).convert().coef
    side = HALF_PX * (np.arange(len(line)) == 0)
    aperture = Extract1d(line - side, line + side, np.zeros((0, 2, 1)), 1)
    print(f"polynomial from the stored trace: rms {np.std(row - np.polyval(line[::-1], column)):.3f} px")
    ours = {"box": extracted(image, aperture, wavelength)}
    for kind in KINDS:
        ours[f"optimal, {kind}"] = extracted(image, aperture, wavelength, method="optimal", profile=kind)
    inside = np.asarray(coverage(aperture.lower, aperture.upper, image.shape, -2))
    centre = np.asarray(trace_profile.centre(image, inside, image.sum(0)))

    theirs = {"box": np.median(box, 0), "optimal": np.median(optimal, 0)}
    sigma = np.median(error, 0)
    used = (wavelength > 0.86) & (wavelength < 2.8)
    print("| ours | beside the stored | median ratio - 1 | rms of the ratio | rms, stored errors |")
    print("|---|---|---|---|---|")
    for name, (flux, _) in ours.items():
        stored = theirs["box" if name == "box" else "optimal"]
        part = (flux / stored - 1)[used]
        middle = np.median(part)
        # a robust rms: what cosmic rays of single columns do is counted apart
        spread = 1.4826 * np.median(np.abs(part - middle))
        sigmas = 1.4826 * np.median(np.abs((flux - stored * (1 + middle)) / sigma)[used])
        far = np.mean(np.abs(part - middle) > 5 * spread)
        which = "box" if name == "box" else "optimal"
        print(f"| {name} | {which} | {middle:.2e} | {spread:.2e} ({far:.1%} beyond 5) | {sigmas:.2f} |")
    off = (centre - row)[used]
    print(f"centroids less stored trace: median {np.median(off):+.3f} px, rms {np.std(off):.3f} px")

    figure, axes = plt.subplots(4, 1, figsize=(10, 11), constrained_layout=True)
    shown = np.sqrt(np.clip(image, 0, None))
    axes[0].imshow(shown, origin="lower", aspect="auto", cmap="viridis", vmax=np.percentile(shown, 99.5))
    for edge in (aperture.lower, aperture.upper):
        axes[0].plot(column, np.polyval(np.asarray(edge)[::-1], column), "w-", lw=0.6)
    axes[0].plot(column, row, "r--", lw=0.8, label="stored trace")
    axes[0].plot(column, centre, "c:", lw=1.2, label="ours, from centroids")
    axes[0].legend(loc="upper right")
    axes[0].set(title="WASP-94 A b, SOSS order 1: median frame, columns moved back", ylabel="row (px)")
    axes[1].plot(wavelength, theirs["optimal"], "k", lw=2.5, alpha=0.3, label="stored, optimal")
    axes[1].plot(wavelength, ours["box"][0], lw=0.7, label="our box")
    axes[1].plot(wavelength, ours["optimal, smoothed"][0], lw=0.7, label="our optimal, smoothed")
    axes[1].set(ylabel="flux (e-)", ylim=(0, None))
    axes[1].legend()
    for name, (flux, _) in ours.items():
        stored = theirs["box" if name == "box" else "optimal"]
        axes[2].plot(wavelength, 100 * (flux / stored - 1), lw=0.6, label=f"{name} / stored")
    axes[2].plot(wavelength, 100 * sigma / theirs["optimal"], "k--", lw=0.8, label="stored error, one integration")
    axes[2].set(ylabel="difference (%)", ylim=(-3, 3))
    axes[2].legend(ncol=3, fontsize=8)
    light = inside * np.maximum(image, 0)
    each = (light * np.arange(len(image))[:, None]).sum(0) / light.sum(0)
    axes[3].plot(wavelength, each - row, lw=0.4, color="0.7", label="centroid of each column")
    axes[3].plot(wavelength, centre - row, lw=1.2, label="the trace that the spline is drawn along")
    axes[3].legend()
    axes[3].set(ylabel="our centroid - stored trace (px)", xlabel="wavelength (um)")
    for axis in axes[1:]:
        axis.set_xlim(0.84, 2.84)
    figure.savefig(folder / "wasp-94a_soss_extraction.png", dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
