"""Stage 1 against the official Detector1 on the same files: the tables of docs/speed.md.

    python benchmarks/stage1.py compare FOLDER --peer ../shared/peer [--case NAME ...] [--docs docs/speed.md]
    python benchmarks/stage1.py length FOLDER --peer ../shared/peer [--case NAME ...] [--docs docs/speed.md]
    python benchmarks/stage1.py gradient FOLDER --peer ../shared/peer [--case NAME ...] [--docs docs/speed.md]

`compare` makes one segment of each case (the harness's exposures and references; what FOLDER holds is not made again)
and takes it through both pipelines, each in a process of its own: A, the same algorithms (`jwst_3_0`), compute alone;
B, files read and written; C, ours as recommended against LIKELY with clean_flicker_noise, files included. `length`
repeats the segment to the whole exposure and takes ours through it, for the memory, beside C of the official one times
the number of segments. `gradient` takes the derivative of a sum of slopes by ramps, references and the gain of the side
pixels, in both modes.

Figures are processor seconds of all threads, which other work on the machine disturbs least, and seconds on the clock.
Ours is measured after a run that compiles; the official one has nothing to compile, its imports are not counted.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import equinox as eqx
import jax
import numpy as np
from parity import write

from uptheramp.calibrate.gradient import value_and_grad
from uptheramp.calibrate.io.exposure import Exposure, open_exposure
from uptheramp.calibrate.io.times import GROUP
from uptheramp.calibrate.io.uncal import UncalWriter
from uptheramp.calibrate.pipeline import run
from uptheramp.calibrate.reduce import chunked, reftypes, sampled, stage1
from uptheramp.calibrate.references import library
from uptheramp.calibrate.settings import Recipe, recipe
from uptheramp.calibrate.state import take
from uptheramp.calibrate.stream import detector, learned_in_parts
from uptheramp.scenarios import cache
from uptheramp.scenarios.cli.huge_pages import VALUE, VARIABLE

BLOCK = 2**26  # bytes


@dataclass(frozen=True)
class Case:
    """A segment of an exposure, and how long the exposure is (0: the segment is all of it)."""

    name: str
    mode: str
    ngroups: int
    segment: int
    nints: int = 0


CASES = [  # the sizes of facts/targets.toml
    Case("WASP-39 b SOSS", "soss256", 9, 10, 537),
    Case("WASP-39 b PRISM", "nrs_prism", 5, 500, 21500),
    Case("WASP-39 b F322W2", "nrc_sub256", 12, 10, 366),
    Case("WASP-43 b MIRI, eclipse", "miri_lrs", 64, 20, 1000),
    Case("small: NIRCam imaging", "nrc_tsimg", 10, 100),
    Case("small: SOSS SUBSTRIP96", "soss96", 8, 10),
]
LIKELY = {"ramp_fit": {"algorithm": "LIKELY"}, "clean_flicker_noise": {"skip": False}}
EMI = {"emicorr": {"skip": False}}  # the official pipeline leaves it out without its parameter files


def uncal(case: Case, folder: Path, peer: Path) -> Path:
    """The segment, and the references in FOLDER/crds, made where they are not there yet."""
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if not (folder / "crds").exists():
        modes = [c.mode for c in CASES]
        subprocess.run([sys.executable, peer / "make_refs.py", folder / "crds", *modes, "--only", "detector1"], **quiet)
    path = folder / f"{case.mode}-{case.segment}x{case.ngroups}" / f"{case.mode}_uncal.fits"
    if not path.is_file():
        size = ["--nints", str(case.segment), "--ngroups", str(case.ngroups)]
        subprocess.run([sys.executable, peer / "make_uncal.py", case.mode, path.parent, *size], **quiet)
    return path


def official(path: Path, folder: Path, peer: Path, steps: dict[str, Any]) -> dict[str, float]:
    """Seconds of the official Detector1: of its steps, and with reading and writing."""
    out = folder / "official"
    command = [sys.executable, peer / "run_peer.py", "detector1", path, out, "--crds", folder / "crds"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    more = ["--max-gib", "20", "--steps", json.dumps(steps)]
    done = subprocess.run([*command, *more], check=True, capture_output=True, text=True, env=environment)
    shutil.rmtree(out)
    found = json.loads(done.stdout[done.stdout.index("{") :])
    if found["error"]:
        raise RuntimeError(found["error"])
    ran = [step for step in found["steps"] if not step["skip"]]
    return {
        "compute_cpu": sum(step["cpu_s"] for step in ran),
        "compute_wall": sum(step["wall_s"] for step in ran),
        "files_cpu": found["cpu_s"],
        "files_wall": found["wall_s"],
        "peak_mb": found["peak_rss_mb"],
    }


def in_own_process(work: str, *arguments: Any) -> dict[str, float]:
    """Call a function of this file in a process of its own, so that peaks of memory are its own.

    With large pages of memory, as the command line has them.
    """
    command = [sys.executable, __file__, work, *map(str, arguments)]
    environment = {**os.environ, VARIABLE: VALUE}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def prepared(path: Path, folder: Path, table: str, overrides: dict[str, str]) -> tuple[Exposure, Recipe, Any]:
    """An exposure, its recipe and its references."""
    cache.enable()
    exposure = open_exposure([path])
    chosen = recipe(table, exposure.instrument.step_family, exposure.meta.exp_type, overrides, (1,))
    classes = reftypes(chosen.stage1)
    found = library.find(folder / "crds" / "references", exposure.meta, tuple(classes))
    return exposure, chosen, library.load(found, exposure.meta, classes)


def compute(path: Path, folder: Path, table: str, overrides: dict[str, str]) -> dict[str, float]:
    """Seconds of our steps on raw integers in memory, learning included."""
    exposure, chosen, refs = prepared(path, folder, table, overrides)
    sample = sampled(exposure.meta, exposure.nints, chosen)
    size = chunked(exposure.meta, exposure.nints, chosen)
    chunks = list(exposure.chunks(size))

    at_once = exposure.nints <= min(sample, size)
    number, read = exposure.sample(sample)
    state = read(0, number)
    in_memory = number, lambda first, count: take(state, slice(first, first + count))

    def run() -> None:
        known = refs if at_once else learned_in_parts(chosen.stage1, in_memory, refs, chosen.params, size)
        for chunk in detector(chosen.stage1, chunks, known, chosen.params, learning=at_once):
            jax.block_until_ready(chunk.rates)

    run()
    return timed(run, "compute")


def files(path: Path, folder: Path, table: str, overrides: dict[str, str]) -> dict[str, float]:
    """Seconds of our Stage 1 from file to file."""
    exposure, chosen, refs = prepared(path, folder, table, overrides)
    out = folder / "ours"

    def run() -> None:
        shutil.rmtree(out, ignore_errors=True)
        stage1(exposure, chosen, refs, out)

    run()
    found = timed(run, "files")
    found["bytes"] = path.stat().st_size + sum(p.stat().st_size for p in out.iterdir())
    shutil.rmtree(out)
    return found


def timed(run: Any, name: str) -> dict[str, float]:
    """Seconds, and the peak of memory in MB so far."""
    used, start = process_time(), perf_counter()
    run()
    wall, cpu = perf_counter() - start, process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {f"{name}_wall": wall, f"{name}_cpu": cpu, "peak_mb": peak}


def disk(path: Path, written: float) -> dict[str, float]:
    """Seconds to read a file and to write so many bytes with nothing else done."""
    copy = path.with_name("copy.bin")

    def run() -> None:
        with path.open("rb") as file:
            while file.read(BLOCK):
                pass
        block = bytes(BLOCK)
        with copy.open("wb") as file:
            for left in range(int(written), 0, -BLOCK):
                file.write(block[: min(left, BLOCK)])

    found = timed(run, "disk")
    copy.unlink()
    return found


def compare(case: Case, folder: Path, peer: Path) -> dict[str, Any]:
    """Both pipelines on one segment."""
    path = uncal(case, folder, peer)
    default = EMI if case.mode == "miri_lrs" else {}
    settings = json.dumps({"emicorr.skip": "false"} if default else {})
    ours = {
        "A": in_own_process("compute", path, folder, "jwst_3_0", settings),
        "B": in_own_process("files", path, folder, "jwst_3_0", settings),
        "C": in_own_process("files", path, folder, "recommended", "{}"),
    }
    theirs = {"AB": official(path, folder, peer, default)}
    # the official clean_flicker_noise refuses MIRI's spectra
    likely = {**LIKELY, "clean_flicker_noise": {"skip": case.mode == "miri_lrs"}}
    theirs["C"] = official(path, folder, peer, {**default, **likely})
    return {"ours": ours, "official": theirs, "disk": disk(path, ours["B"]["bytes"] - path.stat().st_size)}


def lengthened(case: Case, path: Path) -> Path:
    """The segment over and over, to the length of the exposure."""
    out = path.with_name(f"{case.mode}-long_uncal.fits")
    exposure = open_exposure([path])
    meta = replace(exposure.meta, nints=case.nints, integration_start=1, integration_end=case.nints)
    times = exposure.int_times[np.arange(case.nints) % exposure.nints]
    times["integration_number"] = np.arange(1, case.nints + 1)
    cadence = np.median(np.diff(exposure.int_times["int_start_MJD_UTC"]))
    for name in times.dtype.names[1:]:
        times[name] = exposure.int_times[name][0] + cadence * np.arange(case.nints)
    with UncalWriter(out, meta, times, np.zeros(case.nints * meta.ngroups, GROUP)) as file:
        for first in range(0, case.nints, case.segment):
            file.append(exposure.read(0, min(case.segment, case.nints - first)))
    return out


def whole(path: Path, folder: Path, table: str, overrides: dict[str, str]) -> dict[str, float]:
    """Our Stage 1 once over a whole exposure."""
    exposure, chosen, refs = prepared(path, folder, table, overrides)
    out = folder / "ours-whole"
    found = timed(lambda: stage1(exposure, chosen, refs, out), "files")
    found |= {"raw_mb": path.stat().st_size / 2**20, "written_mb": sum(p.stat().st_size for p in out.iterdir()) / 2**20}
    shutil.rmtree(out)
    return found


def length(case: Case, folder: Path, peer: Path) -> dict[str, Any]:
    """Ours on the whole exposure."""
    path = lengthened(case, uncal(case, folder, peer))
    found = in_own_process("whole", path, folder, "recommended", "{}")
    path.unlink()
    return found


def derivative(path: Path, folder: Path, table: str, overrides: dict[str, str]) -> dict[str, float]:
    """Processor seconds of a sum of slopes over one chunk, and of the sum with its gradient, the best of three."""
    exposure, chosen, refs = prepared(path, folder, table, overrides)
    size = chunked(exposure.meta, exposure.nints, chosen)
    ramps = next(exposure.chunks(size))[2]
    known = learned_in_parts(
        chosen.stage1, exposure.sample(sampled(exposure.meta, exposure.nints, chosen)), refs, chosen.params, size
    )
    tree = {
        "ramps": ramps.data.astype(np.float32),
        "references": eqx.filter({name: known[name] for name in refs}, eqx.is_inexact_array_like),
    }

    def loss(tree: Any) -> jax.Array:
        mine = {name: eqx.combine(floats, known[name]) for name, floats in tree["references"].items()}
        rates, _ = run(chosen.stage1, replace(ramps, data=tree["ramps"]), {**known, **mine}, chosen.params)
        return jax.numpy.nansum(rates.data)

    def best(function: Any) -> float:
        jax.block_until_ready(function(tree))
        return min(timed(lambda: jax.block_until_ready(function(tree)), "it")["it_cpu"] for _ in range(3))

    return {"forward": best(jax.jit(loss)), "gradient": best(jax.jit(value_and_grad(loss)))}


def gradient(case: Case, folder: Path, peer: Path) -> dict[str, Any]:
    """The price of a gradient in both modes."""
    path = uncal(case, folder, peer)
    modes = {mode: json.dumps({"ramp_fit.gradient": mode}) for mode in ("frozen", "exact")}
    return {mode: in_own_process("derivative", path, folder, "recommended", text) for mode, text in modes.items()}


def tables(results: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The tables in Markdown."""
    cases = {case.name: case for case in CASES}
    ratio = [
        "| case | segment | A ours, official: CPU s | A ratio (clock) | B ours, official: CPU s | B ratio (clock) "
        "| B of the disk | C ours, official: CPU s | C ratio (clock) | peak MB B ours, official | peak MB C ours |",
        "|---" * 11 + "|",
    ]
    for name, found in results["compare"].items():
        (a, b, c), case = (found["ours"][key] for key in "ABC"), cases[name]
        ab, likely = found["official"]["AB"], found["official"]["C"]
        cells = [
            name,
            f"{case.segment} x {case.ngroups}",
            f"{a['compute_cpu']:.2f}, {ab['compute_cpu']:.1f}",
            f"{ab['compute_cpu'] / a['compute_cpu']:.0f} ({ab['compute_wall'] / a['compute_wall']:.0f})",
            f"{b['files_cpu']:.2f}, {ab['files_cpu']:.1f}",
            f"{ab['files_cpu'] / b['files_cpu']:.0f} ({ab['files_wall'] / b['files_wall']:.0f})",
            f"{100 * found['disk']['disk_wall'] / b['files_wall']:.0f} %",
            f"{c['files_cpu']:.2f}, {likely['files_cpu']:.1f}",
            f"{likely['files_cpu'] / c['files_cpu']:.0f} ({likely['files_wall'] / c['files_wall']:.0f})",
            f"{b['peak_mb']:.0f}, {ab['peak_mb']:.0f}",
            f"{c['peak_mb']:.0f}",
        ]
        ratio.append("| " + " | ".join(cells) + " |")
    long = [
        "| exposure | integrations x groups | raw MB | written MB | CPU s | s | peak MB "
        "| official, segment scaled: CPU s | ratio |",
        "|---" * 9 + "|",
    ]
    for name, found in results["length"].items():
        case = cases[name]
        figures = ("raw_mb", "written_mb", "files_cpu", "files_wall", "peak_mb")
        cells = [name, f"{case.nints} x {case.ngroups}", *(f"{found[key]:.0f}" for key in figures)]
        if name in results["compare"]:
            scaled = results["compare"][name]["official"]["C"]["files_cpu"] * case.nints / case.segment
            cells += [f"{scaled:.0f}", f"{scaled / found['files_cpu']:.0f}"]
        else:
            cells += ["", ""]
        long.append("| " + " | ".join(cells) + " |")
    price = ["| case | forward: CPU s | gradient, frozen | gradient, exact |", "|---" * 4 + "|"]
    for name, found in results["gradient"].items():
        times = [f"{found[mode]['gradient'] / found[mode]['forward']:.1f}" for mode in ("frozen", "exact")]
        price.append(f"| {name} | {found['exact']['forward']:.2f} | {times[0]} | {times[1]} |")
    return {"compare": ratio, "length": long, "gradient": price}


def main() -> None:
    """Measure what is asked for, keep it in FOLDER/stage1.json, and fill the tables of a page if one is given."""
    if sys.argv[1] in WORK:  # this file called itself
        name, path, folder, table, overrides = sys.argv[1:]
        print(json.dumps(WORK[name](Path(path), Path(folder), table, json.loads(overrides))))  # noqa: T201
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=tuple(MEASURE))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--case", action="append", help="only these, e.g. 'WASP-39 b SOSS'")
    parser.add_argument("--docs", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    kept = given.folder / "stage1.json"
    results = json.loads(kept.read_text()) if kept.is_file() else {}
    results = {name: results.get(name, {}) for name in MEASURE}
    todo = [case for case in CASES if not given.case or case.name in given.case]
    for case in [c for c in todo if c.nints] if given.what == "length" else todo:
        results[given.what][case.name] = MEASURE[given.what](case, given.folder, given.peer.resolve())
        kept.write_text(json.dumps(results, indent=1))
        print(case.name, results[given.what][case.name], flush=True)  # noqa: T201
    if given.docs:
        write(given.docs, tables(results))


MEASURE = {"compare": compare, "length": length, "gradient": gradient}
WORK = {"compute": compute, "files": files, "whole": whole, "derivative": derivative}

if __name__ == "__main__":
    main()
