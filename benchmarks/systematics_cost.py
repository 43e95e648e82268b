"""What fits and sensitivities cost: processor seconds in one process, second calls (nothing is compiled), peak memory.

python benchmarks/systematics_cost.py fit --window 2048 256
python benchmarks/systematics_cost.py gradient FILE --out out/cost     (a file of `uptheramp sensitivity`)
"""

import argparse
import resource
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from uptheramp.calibrate.reduce import quiet
from uptheramp.calibrate.tables import structure
from uptheramp.scenarios.scenario import changed
from uptheramp.scenarios.scenario import find as find_scenario
from uptheramp.scenarios.systematics import directions, exposures, linearity_run, sensitivity, sensitivity_run
from uptheramp.scenarios.systematics.fit_file import FitFile
from uptheramp.scenarios.systematics.sensitivity_file import find

FLATS = {
    "name": "cost",
    "family": "linearity",
    "mode": "nirspec_prism",
    "ramps": [{"fill": f, "ngroups": 6, "nints": 8} for f in (0.45, 0.9)],
    "linearity": {"terms": 3},
}


def peak_gb() -> float:
    """Largest memory this process has had, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def seconds(call, times: int = 2) -> float:
    """Processor seconds of the cheapest of some calls, after one that compiles."""
    jax.block_until_ready(call())
    spent = []
    for _ in range(times):
        start = time.process_time()
        jax.block_until_ready(call())
        spent.append(time.process_time() - start)
    return min(spent)


def fit(window: tuple[int, int]) -> None:
    """Rate of the non-linearity fit, after one of a small window that compiles the program."""
    file = structure({**FLATS, "window": list(window)}, FitFile, "cost")
    sets = exposures.ramp_sets(file, Path())
    made = peak_gb()
    small = structure({**FLATS, "window": [128, 32]}, FitFile, "cost")  # one block: compiles the program
    linearity_run.run(small, exposures.ramp_sets(small, Path()), lambda done, total: None)
    start, began = time.process_time(), time.perf_counter()
    outcome = linearity_run.run(file, sets, lambda done, total: None)
    spent, wall, pixels = time.process_time() - start, time.perf_counter() - began, outcome.figures["pixels"]
    print(f"{pixels} pixels, {outcome.figures['converged']:.2%} converged: {spent:.1f} processor s, {wall:.1f} s")
    print(f"{pixels / spent:.0f} pixels per processor second; peak {peak_gb():.2f} GB ({made:.2f} with the ramps made)")


def gradient(name: str, out: Path) -> None:
    """One chunk of the exposure: forward, the reverse pass of one bin, those of all bins."""
    file, folder = find(name)
    scenario = changed(find_scenario(file.scenario, folder=folder), modes=[file.mode])
    reduced, _, response = sensitivity_run.reduction(scenario, out, quiet)
    asked = {u.name: (u.of, u.relative, u.absolute) for u in file.uncertainty}
    known, shape = sensitivity.known(reduced, file.gradient), reduced.exposure.meta.shape
    amounts = {n: jnp.zeros(directions.size(of, known, shape)) for n, (of, *_) in asked.items()}
    size = sensitivity.chunk_length(reduced)
    chunk = next(sensitivity.chunks(reduced, size))
    curves = sensitivity.curves_of(reduced, asked)
    forward = eqx.filter_jit(curves)
    before = peak_gb()
    once = seconds(lambda: forward(amounts, known, chunk.ramps, chunk.outliers))
    peak = peak_gb()
    pull = eqx.filter_jit(sensitivity.pulled(curves))
    light = jnp.asarray(np.nan_to_num(response[:, :size]))
    print(f"chunk of {size} integrations, {light.shape[0]} bins, {len(asked)} uncertainties, {file.gradient}")
    print(f"forward {once:.2f} processor s; peak {before:.2f} GB before, {peak:.2f} GB after")
    for bins in (1, len(light)):
        spent = seconds(lambda bins=bins: pull(amounts, known, chunk.ramps, chunk.outliers, light, jnp.arange(bins)))
        print(f"forward and reverse of {bins}: {spent:.2f} processor s, {spent / once:.1f} forward passes", end="; ")
        print(f"peak {peak_gb():.2f} GB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_subparsers(dest="what", required=True)
    rate = which.add_parser("fit")
    rate.add_argument("--window", type=int, nargs=2, default=(2048, 64))
    slope = which.add_parser("gradient")
    slope.add_argument("file")
    slope.add_argument("--out", type=Path, default=Path("out/cost"))
    args = parser.parse_args()
    if args.what == "fit":
        fit(tuple(args.window))
    else:
        gradient(args.file, args.out)


if __name__ == "__main__":
    main()
