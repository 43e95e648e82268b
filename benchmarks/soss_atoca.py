"""SOSS spectra of official ATOCA and ours, from the same images with the same references, beside the truth.

    taskset -c 1 python benchmarks/soss_atoca.py FOLDER [--window SUBSTRIP256 ...] [--docs docs/soss.md]

Images of WASP-39 b as they are after flat and sky, with reference pixels and without bad ones: out of transit and in
mid-transit without noise, and two out of transit with noise. The references are those of the simulator's converter,
without errors; both sides read the same files. The official side is jwst's `run_extract1d`, which the step calls, on
the noisy pair, where it looks for its regularisation, and with that on the other; it is also given whole profiles, as
ours has them, with the true spectrum as the estimate that it cannot make from those. Ours is `extract_1d` by column,
full and box, and box with the cut profiles of the official file. Each side runs in processes of its own, one thread,
which say what CPU seconds and memory they took; ours goes through MEASURED integrations in chunks. Official set-up is
all that an exposure needs once (grid, regularisation, inverse); ours is taken twice, with no program compiled before
and with those that an earlier run has left in a cache, as the command line keeps one.

Channels have R = 100 and sums of columns with equal weights. The truth of a box is the order's own light in it; of the
solve by column all its light. Where two methods are compared, each is taken relative to its own truth; errors are those
of the official box, of one integration.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from parity import write

INTEGRATIONS = 537  # of the ERS visit of WASP-39
MEASURED, CHUNK = 60, 20  # integrations that ours is timed over, and how many are extracted at once, as by `calibrate`
POWER = 100.0
READ_E_PER_S, SLOPE_S = 2.0, 49.4  # noise of a slope: variance (rate + READ^2) / SLOPE_S
PROGRAMS = "programs"  # where compiled ones are kept
REFERENCES = {"pastasoss": "pastasoss.asdf", "specprofile": "specprofile.fits", "speckernel": "speckernel.fits"}
WHOLE_PROFILES, ESTIMATE = "whole_specprofile.fits", "estimate.fits"
FIXED = {"threshold": 1e-2, "width": 40.0, "bad_pix": "masking", "order_3": True, "atoca": True, "model": False}
FIXED |= {"subtract_background": None, "wave_grid_in": None, "wave_grid_out": None, "estimate": None}
CUT = "box, cut profiles"
OURS = {"by column": {}, "full": {"method": "full"}, "box": {"method": "box"}, CUT: {"method": "box"}}
OFFICIAL, WHOLE, SLOW = "ATOCA", "ATOCA, whole profiles", "ATOCA, default grid"
DEFAULT = {"n_os": 2, "rtol": 1e-4, "max_grid_size": 20000}
# on the grid that it makes by default its search for the regularisation goes astray here
ATOCA = {OFFICIAL: {"n_os": 1, "rtol": 0.1, "max_grid_size": 2000}, WHOLE: DEFAULT, SLOW: DEFAULT}
WORKERS = {}


def worker(function: Callable) -> Callable:
    """Let a function be what a child process does."""
    WORKERS[function.__name__] = function
    return function


def child(name: str, *arguments: Any) -> dict[str, Any]:
    """Run a worker in a process of its own and give what it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, __file__, "--worker", name, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def peak_mb() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def observation(window: str):
    """WASP-39 b in a window of SOSS."""
    from uptheramp.scenarios.scenario import find, observation_of

    scenario = find("wasp-39b-niriss-soss-quick")
    return observation_of(scenario, replace(scenario.mode[0], subarray=window, nints=2, integrations_in_transit=0.0))


@worker
def scene(folder: str, window: str) -> dict[str, Any]:
    """Write images, truth and references."""
    from uptheramp.simulate.calibration.soss_extraction import pastasoss, speckernel, specprofile
    from uptheramp.simulate.optics.spectrograph import TELESCOPE_AREA_M2
    from uptheramp.simulate.ramps.render import build

    o = observation(window)
    constants = build(o)
    gain = float(np.mean(constants.maps.gain))
    lit = np.asarray(constants.maps.light) > 0
    light = np.stack([np.asarray(s.response(s.photons), float) for s in constants.spectra])
    left = [s.response(s.photons * (1 - s.curve.bodies[0].radius_ratio ** 2)) for s in constants.spectra]
    shares = np.stack([np.asarray(s.profile, float) for s in constants.spectra])
    alone = [shares * np.asarray(part, float)[:, None] * lit for part in (light, left)]
    clean = np.stack([part.sum(0) for part in alone])
    variance = (clean[0] + np.asarray(constants.background, float) + READ_E_PER_S**2) / SLOPE_S
    rng = np.random.default_rng(0)
    noisy = clean[:1] + np.sqrt(variance) * rng.standard_normal(clean.shape)
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    planes = {"images": np.concatenate([clean, noisy]) / gain, "alone": np.stack(alone) / gain}
    planes |= {"variance": variance / gain**2}
    np.savez(out / "scene.npz", lit=lit, **{name: np.asarray(p, np.float32) for name, p in planes.items()})
    made = (pastasoss(o), specprofile(o, o, constants), speckernel(o))
    for file, reference in zip(REFERENCES.values(), made, strict=True):
        reference.to_file(out / file, o.meta)
    replace(made[1], narrow=None).to_file(out / WHOLE_PROFILES, o.meta)
    first = constants.spectra[0]
    wavelength, rising = np.unique(np.asarray(first.wavelength_um), return_index=True)
    # ATOCA's spectrum is one of energy: photons are it times the wavelength
    write_estimate(
        out / ESTIMATE, wavelength, np.asarray(first.photons)[rising] * TELESCOPE_AREA_M2 / wavelength / gain
    )
    return {}


def write_estimate(path: Path, wavelength_um: np.ndarray, photons: np.ndarray) -> None:
    """A spectrum as the official step takes it, for `soss_estimate`."""
    from stdatamodels.jwst import datamodels

    table = np.zeros(len(photons), datamodels.SpecModel().get_dtype("spec_table"))
    table["WAVELENGTH"], table["FLUX"] = wavelength_um, photons
    with datamodels.SpecModel(spec_table=table) as model:
        model.save(path)


@worker
def official(folder: str, window: str, name: str) -> dict[str, Any]:
    """ATOCA on the noisy images and then, as regularised there, on the others: spectra into FOLDER/NAME.npz."""
    from jwst.extract_1d.soss_extract import soss_extract
    from stdatamodels.jwst import datamodels
    from stdatamodels.jwst.datamodels import dqflags

    from uptheramp.calibrate.references.pastasoss import COMMANDED_DEG

    held = np.load(Path(folder) / "scene.npz")
    spent, grid = [], []
    process, make_grid = soss_extract._process_one_integration, soss_extract.make_combined_adaptive_grid  # noqa: SLF001

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = process_time()
        result = process(*args, **kwargs)
        spent.append(process_time() - start)
        return result

    def counted(*args: Any, **kwargs: Any) -> Any:
        grid.append(make_grid(*args, **kwargs))
        return grid[-1]

    soss_extract._process_one_integration, soss_extract.make_combined_adaptive_grid = timed, counted  # noqa: SLF001
    start, before = process_time(), peak_mb()
    files = dict(REFERENCES)
    kwargs = {**FIXED, **ATOCA[name], "tikfac": None}
    if name == WHOLE:
        files["specprofile"] = WHOLE_PROFILES
        kwargs["estimate"] = str(Path(folder) / ESTIMATE)
    names = [str(Path(folder) / file) for file in files.values()]

    def run(images: np.ndarray, **changed: Any) -> Any:
        model = datamodels.CubeModel(data=images)
        model.err = np.broadcast_to(np.sqrt(held["variance"]), images.shape).astype(np.float32)
        reference = dqflags.pixel["REFERENCE_PIXEL"] | dqflags.pixel["DO_NOT_USE"]
        model.dq = np.broadcast_to(np.where(held["lit"], 0, reference), images.shape).astype(np.uint32)
        model.meta.instrument.pupil_position = COMMANDED_DEG
        return soss_extract.run_extract1d(model, *names, window, "CLEAR", {**kwargs, **changed})[0]

    noisy = run(held["images"][2:])
    whole, peak, chosen = process_time() - start, peak_mb(), float(noisy.meta.soss_extract1d.tikhonov_factor)
    each = float(np.mean(spent[1:]))
    cost = {"set_up_cpu_s": whole - each * (len(spent) - 1), "integration_cpu_s": each, "peak_mb": peak}
    clean = run(held["images"][:2], tikfac=chosen)
    planes = {}
    for of_clean, of_noisy in zip(clean.spec, noisy.spec, strict=True):
        number, rows = int(of_noisy.spectral_order), [*of_clean.spec_table, *of_noisy.spec_table]
        planes[f"flux{number}"] = np.stack([np.asarray(row["FLUX"], float) for row in rows])
        planes[f"error{number}"] = np.stack([np.asarray(row["FLUX_ERROR"], float) for row in rows])
    np.savez(Path(folder) / f"{name}.npz", **planes)
    return cost | {"imports_mb": before, "grid": len(grid[0]), "tikfac": chosen}


@worker
def ours(folder: str, window: str, method: str) -> dict[str, Any]:
    """Our extraction of the same images, and of MEASURED integrations, chunk by chunk."""
    import equinox as eqx
    import jax

    from uptheramp.calibrate import flags
    from uptheramp.calibrate.stage2.soss_extract import Extract1dParams, extract_1d, learn_typical
    from uptheramp.calibrate.state import Rates

    jax.config.update("jax_compilation_cache_dir", str(Path(folder).resolve() / PROGRAMS))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    held = dict(np.load(Path(folder) / "scene.npz").items())
    refs, params = our_references(folder, window, method), Extract1dParams(**OURS[method])
    dq = np.where(held["lit"], 0, flags.REFERENCE_PIXEL | flags.DO_NOT_USE).astype(np.uint32)

    def state(data: np.ndarray) -> Rates:
        variance = np.broadcast_to(held["variance"], data.shape)
        zero = np.zeros_like(data)
        return Rates(data, variance, zero, zero, np.broadcast_to(dq, data.shape), np.arange(len(data)))

    extract = eqx.filter_jit(extract_1d)

    def run(images: Rates) -> Any:
        return jax.block_until_ready(extract(images, refs, params)[0])

    start, before = process_time(), peak_mb()
    noisy = held["images"][2:]
    refs = replace(refs, typical=jax.block_until_ready(learn_typical(state(noisy), refs, params)))
    learning = process_time() - start
    many = jax.device_put(state(np.concatenate([noisy] * (CHUNK // len(noisy)))))
    run(many)
    set_up = process_time() - start
    start = process_time()
    for _ in range(MEASURED // CHUNK):
        run(many)
    each = (process_time() - start) / MEASURED
    peak = peak_mb()
    images = np.concatenate([held["images"], *held["alone"]])
    spectra = [run(state(images[k : k + CHUNK])) for k in range(0, len(images), CHUNK)]
    flux = np.concatenate([np.asarray(s.flux, float) for s in spectra])
    error = np.concatenate([np.sqrt(np.asarray(s.var_poisson, float)) for s in spectra])
    wavelength, order = (np.asarray(x) for x in (spectra[0].wavelength_um, spectra[0].order))
    np.savez(Path(folder) / f"{method}.npz", flux=flux, error=error, wavelength_um=np.asarray(wavelength), order=order)
    return {
        "learning_cpu_s": learning,
        "set_up_cpu_s": set_up,
        "integration_cpu_s": each,
        "peak_mb": peak,
        "imports_mb": before,
    }


def our_references(folder: str, window: str, method: str) -> Any:
    """The references of our step, from the files that the official side reads."""
    from uptheramp.calibrate.references.pastasoss import Pastasoss
    from uptheramp.calibrate.references.speckernel import Speckernel
    from uptheramp.calibrate.references.specprofile import Specprofile
    from uptheramp.calibrate.stage2.soss_extract import Extract1dRefs

    meta, kinds = observation(window).meta, (Pastasoss, Specprofile, Speckernel)
    trace, profile, kernel = (
        kind.from_file(Path(folder) / file, meta) for kind, file in zip(kinds, REFERENCES.values(), strict=True)
    )
    if method == CUT:
        narrow = np.where(profile.narrow, profile.profile, 0)
        total = narrow.sum(1, keepdims=True)
        profile = replace(profile, profile=narrow / np.where(total > 0, total, 1))
    return Extract1dRefs(trace, profile, None, kernel)


@dataclass(frozen=True)
class Found:
    """Channels of one method and order: `flux` and what is `true` of the images out, in transit, noisy, noisy."""

    flux: np.ndarray
    true: np.ndarray
    error: np.ndarray

    @property
    def off(self) -> np.ndarray:
        """Noise-free flux less truth, in errors."""
        return np.abs(self.flux[0] - self.true[0]) / self.error

    @property
    def depth_ppm(self) -> np.ndarray:
        """Depth of the noise-free images less the true one."""
        return 1e6 * np.abs(self.flux[1] / self.flux[0] - self.true[1] / self.true[0])

    @property
    def relative(self) -> np.ndarray:
        """Noisy fluxes relative to the truth."""
        return self.flux[2:] / self.true[[0]]


@worker
def compare(folder: str, window: str) -> dict[str, Any]:
    """Bin all spectra and set them against each other: {order: {method: figures}}."""
    result = {}
    for number, range_um in useful(window).items():
        if not seen(Path(folder), number, range_um):
            continue
        found = {name: binned(Path(folder), name, number, range_um) for name in (*OURS, *ATOCA)}
        rows = {}
        for name, f in found.items():
            rows[name] = {"flux": summary(f.off), "depth": summary(f.depth_ppm), "channels": len(f.off)}
            for against in (OFFICIAL, WHOLE):
                o = found[against]
                apart = np.abs(f.relative - o.relative) * o.true[0] / o.error
                rows[name][against] = summary(apart)
        result[str(number)] = rows
    return result


def useful(window: str) -> dict[int, tuple[float, float]]:
    """Ranges in which orders are judged, micron."""
    return {o.number: o.useful_range_um for o in observation(window).mode.orders if o.useful_range_um}


def seen(folder: Path, number: int, range_um: tuple[float, float]) -> bool:
    """Whether the window has columns of an order in its range: SUBSTRIP96 has none of order 2."""
    box = np.load(folder / "box.npz")
    inside = (box["wavelength_um"] >= range_um[0]) & (box["wavelength_um"] < range_um[1])
    return int((inside & (box["order"] == number) & np.isfinite(box["flux"][0])).sum()) > 1


def binned(folder: Path, name: str, number: int, range_um: tuple[float, float]) -> Found:
    """Sums of a method's fluxes over the channels of one order."""
    from uptheramp.calibrate.stage3.bins import edges_for

    box = np.load(folder / "box.npz")
    mine = box["order"] == number
    wavelength = box["wavelength_um"][mine].astype(float)
    official, width = name in ATOCA, int(mine.sum())
    errors = padded(np.load(folder / f"{OFFICIAL}.npz")[f"error{number}"], width)[0]
    if official:
        flux = padded(np.load(folder / f"{name}.npz")[f"flux{number}"], width)
    else:
        flux = np.load(folder / f"{name}.npz")["flux"][:4, mine]
    # of boxes it is the same for all; images of the orders alone follow the four
    alone = np.load(folder / f"{name if name == 'by column' else 'box'}.npz")["flux"][4:, mine]
    count, index = len(alone) // 2, int(np.flatnonzero(np.unique(box["order"]) == number)[0])
    true = alone[[index, count + index]]
    known = np.isfinite(flux).all(0) & np.isfinite(true).all(0) & np.isfinite(errors)
    inside = known & (wavelength >= range_um[0]) & (wavelength < range_um[1])
    edges = edges_for(np.where(inside, wavelength, np.nan), resolving_power=POWER)
    member = (wavelength >= edges[:-1, None]) & (wavelength < edges[1:, None]) & inside
    total = [np.where(inside, plane, 0) @ member.T for plane in (flux, true)]
    return Found(*total, np.sqrt(np.where(inside, errors**2, 0) @ member.T))


def padded(flux: np.ndarray, width: int) -> np.ndarray:
    """Official vectors begin in the first column and end with the order."""
    return np.pad(flux, [(0, 0), (0, width - flux.shape[1])], constant_values=np.nan)


def summary(values: np.ndarray) -> list[float]:
    """Median, 95th percentile and maximum."""
    return [float(f"{v:.3g}") for v in (*np.percentile(values, [50, 95]), np.max(values))]


def measure(folder: Path, window: str) -> dict[str, Any]:
    """Everything for one window; what the folder holds already is not made again."""
    if not (folder / "scene.npz").is_file():
        child("scene", folder, window)
    kept = folder / "cost.json"
    cost = json.loads(kept.read_text()) if kept.is_file() else {}
    for method in [m for m in (*ATOCA, *OURS) if m not in cost]:
        if method in ATOCA:
            cost[method] = child("official", folder, window, method)
        else:
            shutil.rmtree(folder / PROGRAMS, ignore_errors=True)
            first, again = (child("ours", folder, window, method) for _ in range(2))
            cost[method] = again | {"first_set_up_cpu_s": first["set_up_cpu_s"]}
        kept.write_text(json.dumps(cost, indent=1))
    return {"cost": cost, "agreement": child("compare", folder, window)}


def markdown(results: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The tables in Markdown."""
    spectra = ["| window | order | method | noise-free - truth | D0 - D, ppm | less ATOCA | less ATOCA, whole |"]
    spectra.append("|---" * 7 + "|")
    costs = ["| window | method | set-up, CPU s | with programs compiled before | an integration, CPU s "]
    costs[0] += f"| {INTEGRATIONS} integrations, CPU s | with programs compiled before | peak, MB |"
    costs.append("|---" * 8 + "|")
    for window, result in results.items():
        for order, rows in result["agreement"].items():
            for name, row in rows.items():
                cells = [words(row[key]) for key in ("flux", "depth", OFFICIAL, WHOLE)]
                spectra.append(f"| {window} | {order} | {name} | " + " | ".join(cells) + " |")
        for name in (*ATOCA, *OURS):
            row = result["cost"][name]
            each, again = row["integration_cpu_s"], row["set_up_cpu_s"]
            first = row.get("first_set_up_cpu_s", again)
            whole = [f"{start + INTEGRATIONS * each:.1f}" for start in (first, again)]
            cells = [f"{first:.1f}", f"{again:.1f}", f"{each:.4f}", *whole, f"{row['peak_mb']:.0f}"]
            costs.append(f"| {window} | {name} | " + " | ".join(cells) + " |")
    return {"atoca spectra": spectra, "atoca cost": costs}


def words(figures: list[float]) -> str:
    """Median, 95th percentile, maximum in a cell."""
    return ", ".join("0" if v == 0 else f"{v:.2g}" for v in figures)


def main() -> None:
    """Measure the windows and write the tables into the page, if one is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--window", action="append", help="SUBSTRIP256 (default), SUBSTRIP96")
    parser.add_argument("--docs", type=Path)
    given = parser.parse_args()
    results = {window: measure(given.folder / window, window) for window in given.window or ["SUBSTRIP256"]}
    tables = markdown(results)
    print("\n\n".join("\n".join(lines) for lines in tables.values()))
    if given.docs:
        write(given.docs, tables)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(WORKERS[sys.argv[2]](*sys.argv[3:])))
    else:
        main()
