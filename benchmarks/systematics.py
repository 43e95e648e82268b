"""Injected parameters recovered over many seeds: pulls, and scatter beside the Fisher error.

    python benchmarks/systematics.py --seeds 50 --out out/systematics.json [--case NAME]

Every seed is another noise and another sensor. Linearity is judged by the correction at 85 % of the well over that at
10 % (pixels of a seed share 1/f noise only: pulls are pooled, their mean is taken by seed).
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from uptheramp.calibrate.kernels.readout import CLOCK_S
from uptheramp.calibrate.tables import structure
from uptheramp.scenarios.systematics import emi_run, exposures, linearity_run, noise, noise_run
from uptheramp.scenarios.systematics.fit_file import FitFile
from uptheramp.scenarios.systematics.outcome import SUSPICIOUS
from uptheramp.simulate.detector.one_over_f import PIVOT_HZ

FLATS = [{"fill": f, "ngroups": 6, "nints": 12} for f in (0.0, 0.4, 0.8)]
DARK = [{"fill": 0.0, "ngroups": 6, "nints": 24}]
LATE = [{"fill": f, "ngroups": 10, "nints": 12} for f in (0.0, 0.4, 0.8)]
LATER = {"skip_integrations": 1}  # the first reset of MIRI leaves something else than the others
EVERYTHING = ["gain", "read_noise", "ipc", "one_over_f"]
NRS = {"mode": "nirspec_prism", "window": [48, 24], "effects_on": ["ipc"]}
MIRI = {
    "mode": "miri_image_f770w",
    "window": [32, 32],
    "effects_on": ["ipc"],
    "first_group": 4,
    "effects_off": ["emi"],  # has a family of its own
}
KNOWN = ["poisson", "nonlinearity", "ipc", "read_noise", "one_over_f", "adc"]
TONES = {"mode": "miri_lrs", "window": [64, 64], "ramps": [{"fill": 0.0, "ngroups": 6, "nints": 20}]}
CASES = {
    "noise, H2RG": {"family": "noise", **NRS, "ramps": FLATS, "model": KNOWN, "noise": {"free": EVERYTHING}},
    "noise, Si:As": {
        "family": "noise", **MIRI, "ramps": LATE, "model": KNOWN, "noise": {"free": EVERYTHING[:3], **LATER}
    },
    "1/f, H2RG": {
        "family": "noise", **NRS, "ramps": DARK, "model": KNOWN,
        "effects": {"one_over_f": {"slope": 1.2, "amplitude": 2.0}},
        "noise": {"free": ["read_noise", "one_over_f", "one_over_f_slope"]},
    },
    "1/f, Si:As": {
        "family": "noise", **MIRI, "ramps": [{"fill": 0.0, "ngroups": 10, "nints": 24}], "model": KNOWN,
        "effects": {"one_over_f": {"slope": 0.9, "amplitude": 20.0}},
        "noise": {"free": ["read_noise", "one_over_f", "one_over_f_slope"], **LATER},
    },
    "noise without IPC, H2RG": {
        "family": "noise", **NRS, "window": [96, 48], "ramps": FLATS,
        "noise": {"free": ["gain", "read_noise", "one_over_f"]},
    },
    "noise without IPC, Si:As": {
        "family": "noise", **MIRI, "ramps": LATE, "noise": {"free": ["gain", "read_noise"], **LATER}
    },
    "linearity, H2RG": {
        "family": "linearity", "mode": "nirspec_prism", "window": [16, 16],
        "ramps": [{"fill": f, "ngroups": 10, "nints": 12} for f in (0.3, 0.6, 0.9)],
    },
    "linearity, Si:As": {
        "family": "linearity", "mode": "miri_image_f770w", "window": [16, 16], "first_group": 4, "effects_off": ["emi"],
        "ramps": [
            {"fill": 0.0, "ngroups": 14, "nints": 60},
            *({"fill": f, "ngroups": 14, "nints": 12} for f in (0.3, 0.6, 0.9)),
        ],
    },
    "emi, Si:As": {"family": "emi", **TONES},
    "emi without 10 Hz, Si:As": {"family": "emi", **TONES},
}  # fmt: skip
MISSING = {"emi without 10 Hz, Si:As": 1}  # tones, the last ones of the table, that the model lacks


def noise_seed(file: FitFile) -> dict:
    sets = exposures.ramp_sets(file, Path())
    levels = noise.levels_of(
        sets, file.first_group, *noise_run.window(sets[0].observation), file.noise.skip_integrations
    )
    found = noise.fit(levels, noise.table(sets[0].observation, "ipc" in file.model), file.noise)
    maps = sets[-1].constants.maps
    known, pink = noise.table(sets[0].observation, True), file.effects.get("one_over_f", {})
    loud = {n: known[n] * pink.get("amplitude", 1.0) for n in noise.PARTS["one_over_f"]}
    true = (
        known
        | loud
        | {
            "slope": pink.get("slope", 1.0),
            "gain": 1 / float(np.mean(1 / np.asarray(maps.gain, float))),
            "read_noise_e": float(np.sqrt(np.mean(np.asarray(maps.read_noise_e, float) ** 2))),
        }
    )
    if "gain" not in found.names:  # electrons are those of the gain that the fit was given
        true["read_noise_e"] *= known["gain"] / true["gain"]
    sound = {n: (v - true[n], e) for n, v, e in zip(found.names, found.value, found.error, strict=True) if n in true}
    checks = [noise_check(c, f) for c, f in zip(found.chi_square, found.freedom, strict=True)]
    checks += [c.sigma for c in found.held.values()]
    knee = noise_run.knee_hz(found)
    if knee is not None:
        level = 2 * true["read_noise_e"] ** 2 * CLOCK_S * PIVOT_HZ
        sound["knee (Hz)"] = knee[0] - PIVOT_HZ * (true["pink_e"] ** 2 / level) ** (1 / true["slope"]), knee[1]
    return {"parameters": sound, "chi_square_sigma": checks, "converged": found.converged}


def noise_check(chi_square: np.ndarray, freedom: float) -> float:
    """Largest deviation in sigma over bands of spatial frequency."""
    return max((b.sigma for b in noise_run.bands_of(chi_square, freedom)), key=abs)


def linearity_seed(file: FitFile) -> dict:
    sets = exposures.ramp_sets(file, Path())
    outcome = linearity_run.run(file, sets, lambda done, total: None)
    f = outcome.figures
    return {
        "parameters": {
            "pull mean": (f["truth"]["pull_mean"][-1], 1.0),
            "pull scatter": (f["truth"]["pull_scatter"][-1], 1.0),
        },
        "chi_square_sigma": [f["checks"]["chi_square"]["sigma"]],
        "converged": f["converged"],
    }


def emi_seed(file: FitFile) -> dict:
    rng = np.random.default_rng(file.seed)
    knobs = {"amplitude": rng.uniform(0.7, 1.3), "delay_s": rng.uniform(0, 0.1), "frequency_ppm": rng.normal(0, 30)}
    ramps = exposures.ramp_sets(replace(file, effects={"emi": knobs}), Path())[0]
    chip, missing = ramps.observation.detector, MISSING.get(file.name, 0)
    kept = slice(0, len(chip.emi.frequency_hz) - missing)
    parts = {n: getattr(chip.emi, n)[kept] for n in ("frequency_hz", "amplitude_dn", "phase_turns")}
    o = replace(ramps.observation, detector=replace(chip, emi=replace(chip.emi, **parts)))
    known = replace(ramps, observation=o, constants=None if missing else ramps.constants)
    outcome = emi_run.run(file, [known], lambda done, total: None)
    f = outcome.figures
    off = f["truth"]["off"] if not missing else []
    return {
        "parameters": {n: (o, e) for n, o, e in zip(f["names"], off, f["error"], strict=False) if e is not None},
        "chi_square_sigma": [c["sigma"] for c in f["checks"].values()],
        "converged": f["converged"],
    }


SEED = {"noise": noise_seed, "linearity": linearity_seed, "emi": emi_seed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path("out/systematics.json"))
    parser.add_argument("--case", action="append")
    args = parser.parse_args()
    done = json.loads(args.out.read_text()) if args.out.exists() else {}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for name in args.case or CASES:
        base = structure({"name": name, **CASES[name]}, FitFile, name)
        rows = done.setdefault(name, [])
        for seed in range(len(rows) + 1, args.seeds + 1):
            file = replace(base, seed=seed, detector_seed=1366 + seed)
            rows.append(SEED[file.family](file))
            args.out.write_text(json.dumps(done))
        print(name, len(rows), "seeds; converged", np.mean([r["converged"] for r in rows]))
        for parameter in rows[0]["parameters"]:
            off, error = np.array([r["parameters"][parameter] for r in rows]).T
            pull = off / error
            print(
                f"  {parameter}: pull {pull.mean():+.2f} +- {pull.std(ddof=1) / np.sqrt(len(pull)):.2f}, "
                f"scatter {pull.std(ddof=1):.2f}; rms {off.std(ddof=1):.3g}, Fisher {np.median(error):.3g}"
            )
        sigma = np.array([np.max(np.abs(r["chi_square_sigma"])) for r in rows])
        caught = int((sigma > SUSPICIOUS).sum())
        print(
            f"  diagnostics: largest deviation, median over seeds {np.median(sigma):.1f} sigma; caught in {caught}",
            flush=True,
        )


if __name__ == "__main__":
    main()
