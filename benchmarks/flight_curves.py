"""Our instrument tables beside curves that others derived from flight data.

    python benchmarks/flight_curves.py ../shared/realdata docs/flight

Throughput of the NIRCam F444W grism, width of the MIRI LRS trace, image of a star in MIRI F1500W (needs the extra
`flight`). What our tables were made from is not compared. Writes `curves.png` and prints the table of
docs/flight/images.md.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from astropy.io import fits

from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.instruments.core import Order
from uptheramp.scenarios.scenario import find
from uptheramp.simulate.observation import observe
from uptheramp.simulate.ramps.render import build


@dataclass(frozen=True)
class Pair:
    """A curve of others and ours at the same places."""

    name: str
    at: np.ndarray
    theirs: np.ndarray
    ours: np.ndarray
    axis: str
    value: str
    scaled: bool = False  # only the shape is known

    @property
    def misfit(self) -> np.ndarray:
        """Flight over ours less one."""
        if not self.scaled:
            return self.theirs / self.ours - 1
        ratio = self.theirs / self.ours
        return ratio / np.median(ratio) - 1


def order_of(mode: str) -> Order:
    return lookup.find_mode(mode)[1].orders[0]


def throughput(name: str, mode: str, lam: np.ndarray, theirs: np.ndarray) -> Pair:
    """Shape of the throughput where both are above a tenth of their peaks."""
    curve = order_of(mode).throughput
    ours = np.interp(lam, curve.x, curve.y, left=0, right=0)
    kept = (ours > 0.1 * ours.max()) & (theirs > 0.1 * np.nanmax(theirs)) & np.isfinite(theirs)
    return Pair(name, lam[kept], theirs[kept], ours[kept], "wavelength (micron)", "throughput", scaled=True)


def pairs(data: Path) -> list[Pair]:
    grism = data / "nircam_grism"
    sun = grism / "fengwusun" / "F444W_modA_grismR_sensitivity.dat"
    lines = [line for line in sun.read_text().splitlines() if line[:1].isdigit()]
    table = np.loadtxt(lines, usecols=(0, 1))
    # DN / s / Jy at a constant dispersion: times the wavelength it is electrons a photon
    out = [throughput("F444W throughput", "nircam_f444w", table[:, 0], table[:, 1] * table[:, 0])]
    psf = fits.getdata(data / "miri_lrs" / "msaexp" / "lrs_psf_data_jw06620-obs13.fits", 1)
    lam, width = np.asarray(psf["wave"], float), 2.3548 * np.asarray(psf["sigma"], float)
    kept = (lam > 5) & (lam < 12)
    order = order_of("miri_lrs")
    ours = np.interp(lam[kept], order.fwhm_px.x, order.fwhm_px.y)
    out.append(Pair("MIRI LRS width", lam[kept], width[kept], ours, "wavelength (micron)", "FWHM (px)"))
    return [*out, *imaging(data)]


def imaging(data: Path) -> list[Pair]:
    """Radial profile of the median cut-out of TRAPPIST-1 at 15 micron; nothing without h5py."""
    try:
        import h5py
    except ImportError:
        print("MIRI imaging is left out: it needs h5py, pip install -e '.[flight]'")
        return []
    folder = data / "miri_imaging_tso" / "erebus_t1b_fnpca"
    with h5py.File(folder / "TRAPPIST-1b_visit_1_jw01177007001.h5") as file:
        theirs = np.median(file["frames"][:], axis=0)
    scenario = find("trappist-1b-miri-f1500w")
    o = observe("miri_image_f1500w", ngroups=2, nints=1, star=scenario.star, planet=scenario.planet, subarray="SUB64")
    (star,) = build(o).spectra
    image = np.tensordot(np.asarray(star.response(star.photons)), star.images.at_rest(), 1)
    profiles = [radial(x) for x in (theirs, image)]
    radius = np.arange(1.0, 4.6, 0.5)
    values = [np.interp(radius, *p) / np.interp(1.0, *p) for p in profiles]
    return [Pair("F1500W profile", radius, values[0], values[1], "radius (px)", "brightness over that at 1 px")]


def radial(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean brightness in rings around the centroid of the brightest pixels."""
    y, x = np.indices(image.shape)
    bright = np.where(image > 0.3 * image.max(), image, 0)
    cy, cx = (bright * y).sum() / bright.sum(), (bright * x).sum() / bright.sum()
    distance = np.hypot(y - cy, x - cx)
    edges = np.arange(0, 6.5, 1.0)
    inside = [(distance >= a) & (distance < a + 1) for a in edges]
    kept = [m for m in inside if m.any()]
    return np.array([distance[m].mean() for m in kept]), np.array([image[m].mean() for m in kept])


def draw(found: list[Pair], path: Path) -> None:
    figure, axes = plt.subplots(2, len(found), figsize=(4 * len(found), 6), layout="constrained")
    for (top, bottom), pair in zip(axes.T, found, strict=True):
        scale = np.median(pair.theirs / pair.ours) if pair.scaled else 1.0
        top.plot(pair.at, pair.theirs / scale, "k", label="flight")
        top.plot(pair.at, pair.ours, "C1", label="ours")
        top.set(title=pair.name, ylabel=pair.value)
        bottom.plot(pair.at, pair.misfit, "k")
        bottom.axhline(0, color="0.7")
        bottom.set(xlabel=pair.axis, ylabel="flight / ours - 1")
    axes[0, 0].legend()
    figure.savefig(path, dpi=80)


def main(data: Path, out: Path) -> None:
    found = pairs(data)
    out.mkdir(parents=True, exist_ok=True)
    draw(found, out / "curves.png")
    print("| curve | places | rms | worst |\n|---|---|---|---|")
    for pair in found:
        rms, worst = np.sqrt(np.mean(pair.misfit**2)), np.abs(pair.misfit).max()
        print(f"| {pair.name} | {len(pair.at)} | {rms:.1%} | {worst:.1%} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
