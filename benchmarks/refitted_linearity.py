"""A wrong LINEARITY reference, refitted from flat ramps of the same sensor and used again: the depth's bias each time.

    python benchmarks/refitted_linearity.py --mode nirspec_prism --out out/refitted

The same noisy exposure of `quickstart` is reduced with the linearity of the calibration programme (estimated), with one
whose correction is 20 % too strong (wrong), and with the one that `uptheramp fit` finds from its own flat ramps, the
other references being the same. Bias: mean over bins of depth less truth, weighted by the inverse covariance, and its
standard error.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np

from uptheramp.calibrate.reduce import quiet
from uptheramp.scenarios.judge import true_channels
from uptheramp.scenarios.reduced import fit_planet, reduce_exposure
from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.scenarios.systematics import exposures, linearity_run
from uptheramp.scenarios.systematics.fit_file import FitFile, RampsBlock
from uptheramp.simulate.ramps import level1b, references
from uptheramp.simulate.ramps.render import build
from uptheramp.simulate.truth import load

FILLS = (0.3, 0.6, 0.9)
SETTINGS = {"nirspec_prism": (10, 0), "miri_lrs": (14, 4)}  # groups of the flats, first one used


def refit(scenario, block, nints: int):
    """LINEARITY from flat ramps (and for MIRI a dark) of the scenario's sensor."""
    groups, first = SETTINGS[block.mode]
    flats = tuple(RampsBlock(fill=fill, ngroups=groups, nints=nints) for fill in FILLS)
    dark = (RampsBlock(fill=0.0, ngroups=groups, nints=3 * nints),) if first else ()
    file = FitFile(
        "refit",
        "linearity",
        block.mode,
        (*dark, *flats),
        subarray=block.subarray,
        seed=7,
        detector_seed=scenario.detector_seed,
        effects_off=block.effects_off,
        first_group=first,
    )
    return linearity_run.run(file, exposures.ramp_sets(file, Path()), quiet_fit)


def quiet_fit(done: int, total: int) -> None:
    """Progress that says nothing."""


def weighted(difference: np.ndarray, covariance: np.ndarray) -> tuple[float, float]:
    """Mean in ppm weighted by the inverse covariance, and its standard error."""
    weights = np.linalg.solve(covariance, np.ones(len(difference)))
    return 1e6 * weights @ difference / weights.sum(), 1e6 / np.sqrt(weights.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=sorted(SETTINGS), default="nirspec_prism")
    parser.add_argument("--integrations", type=int, default=10, help="of each flat")
    parser.add_argument("--out", type=Path, default=Path("out/refitted"))
    args = parser.parse_args()
    scenario = find("quickstart")
    block = next(b for b in scenario.mode if b.mode == args.mode)
    o = observation_of(scenario, block)
    constants, out = build(o), args.out / args.mode
    files = level1b.write(o, out, constants=constants)
    references.write(o, constants, out, grades=("estimated", "wrong"), only=("linearity",))
    folder = out / "references"
    shutil.copytree(folder / "estimated", folder / "fitted", dirs_exist_ok=True)
    outcome = refit(scenario, block, args.integrations)
    references.save(o, outcome.library, folder / "fitted")
    found, power = {}, block.resolving_power
    for grade in ("estimated", "wrong", "fitted"):
        reduced = reduce_exposure(files, out / grade, folder / grade, "recommended", {}, power, block.range_um, quiet)
        true = true_channels(reduced, o, load(out / "truth"))
        planet = fit_planet(reduced.curves, true.system, "fixed", 1).planet
        found[grade] = np.asarray(planet.depth) - true.depth, np.asarray(planet.covariance)
    mean = {grade: weighted(d, found["estimated"][1]) for grade, (d, _) in found.items()}
    for grade, (bias, error) in mean.items():
        print(
            f"{args.mode} {grade}: {bias:+.1f} +- {error:.1f} ppm ({(bias - mean['estimated'][0]) / error:+.1f} sigma)"
        )
    bins = {grade: (1e6 * d).tolist() for grade, (d, _) in found.items()}
    (out / "bias.json").write_text(json.dumps({"mean": mean, "bins": bins, "fit": outcome.figures}, indent=1))


if __name__ == "__main__":
    main()
