"""Simulated spectra beside flight images: traces, profiles across the dispersion, light along it.

    python benchmarks/flight_images.py ../shared/realdata docs/flight

Writes one figure for each image and the table `images.md`. The flight images are not part of this project; the folder
is laid out as its MANIFEST says.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import least_squares

from uptheramp.scenarios.scenario import find
from uptheramp.simulate.observation import Observation, observe
from uptheramp.simulate.optics.alignment import Alignment
from uptheramp.simulate.ramps.render import build

REACH = 15  # pixels on either side of a trace in which its place is sought
HALF = 6  # columns on either side averaged for one profile
COLUMNS = {1: range(40, 2020, 60), 2: range(1000, 1740, 40), 3: range(620, 900, 40)}  # where an order stands alone
SHOWN = (300, 700, 1100, 1500, 1900)  # columns whose profiles are drawn


@dataclass(frozen=True)
class Flight:
    """One image, (y, x), with the observation that should look like it."""

    name: str
    image: np.ndarray
    observation: Observation
    note: str = ""


def flights(data: Path) -> list[Flight]:
    """The images there are, with our observation of the same mode."""
    soss = data / "niriss_soss" / "flight_images"
    wasp, hat = find("wasp-39b-niriss-soss"), find("hat-p-14b-niriss-soss")

    def star(scenario, mode: str, alignment: Alignment = Alignment()) -> Observation:
        return observe(mode, ngroups=2, nints=1, star=scenario.star, planet=scenario.planet, alignment=alignment)

    return [
        Flight(
            "WASP-39 SOSS",
            np.load(soss / "wasp39b_feinstein2023_medframe.npy"),
            star(wasp, "niriss_soss", Alignment(pupil_wheel_deg=-0.008)),
            "(turn of the pupil wheel fitted: -0.008 deg)",
        ),
        Flight(
            "jw01512 SOSS",
            np.load(soss / "jw01512001001_03102_00001_nis_demo_pwcpos_245.778671.npy"),
            star(hat, "niriss_soss", Alignment(pupil_wheel_deg=245.778671 - 245.76)),
            "(turn of the pupil wheel from the header: +0.019 deg)",
        ),
    ]


def light(o: Observation) -> np.ndarray:
    """Out of transit, without noise or flat, DN/s."""
    constants = build(o)
    rate = np.asarray(constants.background, float)
    for source in constants.spectra:
        elements = np.asarray(source.response(source.photons))
        rate = rate + np.asarray(source.profile) * (elements if o.mode.dispersion_axis == 1 else elements[:, None])
    return rate / np.asarray(constants.maps.gain)


def column(image: np.ndarray, x: int) -> np.ndarray:
    """Median profile around a column."""
    return np.nanmedian(image[:, max(x - HALF, 0) : x + HALF + 1], axis=1)


def offset(flight: np.ndarray, ours: np.ndarray, centre: float) -> tuple[float, float]:
    """Shift (px) and factor with which our profile fits the flight one around a trace, with a free background."""
    rows = np.arange(len(ours))
    near = np.abs(rows - centre) <= REACH

    def miss(p: np.ndarray) -> np.ndarray:
        return (p[0] * np.interp(rows[near] - p[2], rows, ours) + p[1] - flight[near]) / flight[near].max()

    start = [flight[near].sum() / ours[near].sum(), 0.0, 0.0]
    fitted = least_squares(miss, start, x_scale=[start[0], start[0], 1.0]).x
    return float(fitted[2]), float(fitted[0])


def place(o: Observation, number: int, x: float) -> float:
    """Row of our trace of an order at a column."""
    order = next(one for one in o.mode.orders if one.number == number)
    return float(np.interp(x, order.trace_px.x, order.trace_px.y))


def apart(first: Flight, second: Flight, number: int, x: int) -> float:
    """How much farther an order's trace lies from one image to the other than our traces say (px), profile against
    profile, so that what both images have and our profile lacks (ripples) takes no part; free slope of background."""
    centre = place(second.observation, number, x)
    moved = centre - place(first.observation, number, x)
    one, other = column(first.image, x), column(second.image, x)
    rows = np.arange(len(one))
    near = np.abs(rows - centre) <= REACH

    def miss(p: np.ndarray) -> np.ndarray:
        sky = p[1] + p[2] * (rows[near] - centre)
        return (p[0] * np.interp(rows[near] - p[3], rows, one) + sky - other[near]) / other[near].max()

    starts = ([other[near].sum() / one[near].sum(), 0.0, 0.0, moved + step] for step in (-1.0, 0.0, 1.0))
    best = min((least_squares(miss, start, x_scale=[1, 1, 0.1, 1]) for start in starts), key=lambda fit: fit.cost)
    return float(best.x[3] - moved)


def together(results: list[tuple[Flight, dict[int, np.ndarray]]]) -> list[dict[int, np.ndarray]]:
    """Flight minus ours (px) of each image and order at its columns, from all images: the mean of the shifts against
    our profile, parted by the shifts from image to image."""
    first = results[0][0]
    found: list[dict[int, np.ndarray]] = [{} for _ in results]
    for number, rows in results[0][1].items():
        shifts = np.mean([each[number][:, 2] for _, each in results], axis=0)
        between = np.array([[apart(first, f, number, int(x)) for x in rows[:, 0]] for f, _ in results])
        for one, parted in zip(found, between - between.mean(axis=0), strict=True):
            one[number] = shifts + parted
    return found


def compare(flight: Flight) -> dict[int, np.ndarray]:
    """For each order: column, wavelength, shift (flight minus ours, px), flight over ours."""
    ours = light(flight.observation)
    found = {}
    for order in flight.observation.mode.orders:
        rows = []
        for x in COLUMNS[order.number]:
            centre = place(flight.observation, order.number, x)
            if REACH < centre < ours.shape[0] - REACH:
                shift, factor = offset(column(flight.image, x), column(ours, x), centre)
                rows.append((x, np.interp(x, order.wavelength_um.x, order.wavelength_um.y), shift, factor))
        found[order.number] = np.array(rows)
    return found


def draw(flight: Flight, found: dict[int, np.ndarray], path: Path) -> None:
    """Images, trace differences, ratio of the light, profiles."""
    ours = light(flight.observation)
    figure = plt.figure(figsize=(13, 11), layout="constrained")
    grid = figure.add_gridspec(5, len(SHOWN))
    top = np.nanpercentile(flight.image, 99.5)
    scale = np.nanmedian(found[1][:, 3])
    for row, (name, image) in enumerate((("flight", flight.image), ("ours", ours * scale))):
        axes = figure.add_subplot(grid[row, :])
        axes.imshow(np.arcsinh(image / top * 20), origin="lower", aspect="auto", vmin=0, vmax=np.arcsinh(20))
        axes.set_ylabel(f"{name}: row (px)")
    axes = figure.add_subplot(grid[2, :])
    for number, rows in found.items():
        axes.plot(rows[:, 0], rows[:, 2], ".-", label=f"order {number}")
    axes.axhspan(-0.5, 0.5, color="0.9")
    axes.set(ylim=(-3, 3), ylabel="trace, flight - ours (px)", xlabel="column (px)")
    axes.legend(ncols=3)
    axes = figure.add_subplot(grid[3, :])
    for number, rows in found.items():
        axes.plot(rows[:, 1], rows[:, 3] / np.median(rows[:, 3]), ".-", label=f"order {number}")
    axes.set(ylabel="light, flight / ours\n(over its median)", xlabel="wavelength (micron)", ylim=(0.5, 1.5))
    for panel, x in enumerate(SHOWN):
        axes = figure.add_subplot(grid[4, panel])
        rows = np.arange(len(ours)) - place(flight.observation, 1, x)
        near = np.abs(rows) < 30
        for image, colour in ((flight.image, "k"), (ours, "C1")):
            profile = column(image, x)[near]
            axes.plot(rows[near], profile / profile.max(), color=colour)
        axes.set(xlabel="from the trace (px)", title=f"column {x}")
    figure.suptitle(f"{flight.name} (black: flight, orange: ours) {flight.note}")
    figure.savefig(path, dpi=70)
    plt.close(figure)


def table(results: list[tuple[Flight, dict[int, np.ndarray]]]) -> list[str]:
    """Rows of the page."""
    lines = [
        "| image | order | columns | trace, flight - ours: median, rms, worst (px) | within 0.5 px "
        "| of both images together: rms, worst (px) | light: rms |",
        "|---|---|---|---|---|---|---|",
    ]
    for (flight, found), joint in zip(results, together(results), strict=True):
        for number, rows in found.items():
            shift, ratio = rows[:, 2], rows[:, 3] / np.median(rows[:, 3])
            columns = f"{rows[0, 0]:.0f} to {rows[-1, 0]:.0f}"
            alone = f"{np.median(shift):+.2f}, {shift.std():.2f}, {np.abs(shift).max():.2f}"
            close = f"{np.mean(np.abs(shift) < 0.5):.0%}"
            both = f"{joint[number].std():.2f}, {np.abs(joint[number]).max():.2f}"
            lines.append(f"| {flight.name} | {number} | {columns} | {alone} | {close} | {both} | {ratio.std():.1%} |")
    return lines


def main(data: Path, out: Path) -> None:
    results = [(flight, compare(flight)) for flight in flights(data)]
    out.mkdir(parents=True, exist_ok=True)
    for flight, found in results:
        draw(flight, found, out / f"{flight.name.lower().replace(' ', '_')}.png")
    print("\n".join(table(results)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
