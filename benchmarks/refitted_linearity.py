"""A wrong LINEARITY reference, refitted from flat ramps of the same sensor and used again: the depth's bias each time.

    python benchmarks/refitted_linearity.py --mode nirspec_prism --out out/refitted

A short exposure of `quickstart` is reduced with the linearity of the calibration programme (estimated), with one whose
correction is 20 % too strong (wrong), and with the one that `uptheramp fit` finds from its own flat ramps, the other
references being the same. Bias: depths of the noise-free twin of each reduction less the truth, so that no noise is in
it; mean over bins, weighted by the variance of a visit of the real length at the limit of photons and reads, whose
standard error is the unit.
"""

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from uptheramp.calibrate.io.times import DAY_S
from uptheramp.calibrate.reduce import quiet
from uptheramp.scenarios.judge import true_channels
from uptheramp.scenarios.reduced import fit_planet, reduce_exposure
from uptheramp.scenarios.scenario import find, observation_of
from uptheramp.scenarios.systematics import exposures, linearity_run
from uptheramp.scenarios.systematics.fit_file import FitFile, RampsBlock
from uptheramp.scenarios.twin import mean_rendering, rendered_curves
from uptheramp.simulate.ramps import level1b, references
from uptheramp.simulate.ramps.render import build
from uptheramp.simulate.truth import load

FILLS = (0.3, 0.6, 0.9)
SHORT = {
    "nirspec_prism": {"subarray": "SUB512S", "nints": 40, "integrations_in_transit": 16.0},
    "miri_lrs": {"nints": 40, "integrations_in_transit": 16.0},
}
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


def visit_error(limits: np.ndarray, o) -> np.ndarray:
    """Depth error of each bin in a visit of the real length, as long out of transit as in: L sqrt(2 / N)."""
    in_transit = o.orbit_planet.duration_d * o.compression * DAY_S / o.cadence_s
    return limits * np.sqrt(2 / in_transit)


def weighted(difference: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """Mean in ppm weighted by the inverse variances, and its standard error."""
    weights = error**-2.0
    return 1e6 * weights @ difference / weights.sum(), 1e6 / np.sqrt(weights.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=sorted(SETTINGS), default="nirspec_prism")
    parser.add_argument("--integrations", type=int, default=10, help="of each flat")
    parser.add_argument("--out", type=Path, default=Path("out/refitted"))
    args = parser.parse_args()
    scenario = find("quickstart")
    block = replace(next(b for b in scenario.mode if b.mode == args.mode), **SHORT[args.mode])
    o = observation_of(scenario, block)
    constants, out = build(o), args.out / args.mode
    files = level1b.write(o, out, constants=constants)
    references.write(o, constants, out, grades=("estimated", "wrong"), only=("linearity",))
    folder = out / "references"
    shutil.copytree(folder / "estimated", folder / "fitted", dirs_exist_ok=True)
    outcome = refit(scenario, block, args.integrations)
    references.save(o, outcome.library, folder / "fitted")
    bins, error = {}, np.zeros(0)
    for grade in ("estimated", "wrong", "fitted"):
        reduced = reduce_exposure(
            files, out / grade, folder / grade, "recommended", {}, block.resolving_power, block.range_um, quiet
        )
        true = true_channels(reduced, o, load(out / "truth"))
        twin = fit_planet(rendered_curves(mean_rendering(o, constants), reduced), true.system, "fixed", 1).planet
        bins[grade] = np.asarray(twin.depth) - true.depth
        error = visit_error(true.limits, o) if grade == "estimated" else error
    mean = {grade: weighted(difference, error) for grade, difference in bins.items()}
    for grade, (bias, sigma) in mean.items():
        worst = bins[grade][np.abs(bins[grade] / error).argmax()]
        print(
            f"{args.mode} {grade}: mean {bias:+.1f} ppm ({bias / sigma:+.1f} sigma of {sigma:.1f}), "
            f"worst bin {1e6 * worst:+.0f} ppm ({np.abs(bins[grade] / error).max():.1f} sigma)"
        )
    kept = {"bins_ppm": {grade: (1e6 * d).tolist() for grade, d in bins.items()}, "error_ppm": (1e6 * error).tolist()}
    (out / "bias.json").write_text(json.dumps({"mean": mean, **kept, "fit": outcome.figures}, indent=1))


if __name__ == "__main__":
    main()
