"""How well the truth is recovered: many seeds of a scenario, judged by METRICS.

    python benchmarks/recovery.py run quickstart nirspec_prism --seeds 20 --store out/recovery
    python benchmarks/recovery.py table quickstart --store out/recovery --docs docs/recovery.md

Every seed goes the way of `uptheramp run`: Level-1b file, all stages, light-curve fits; limb darkening once fixed at
the injected values and once fitted. Each seed is followed by its antithesis (every normal deviate with the other
sign). References are made once. A seed that is in the store is not run again, so `run` can be stopped and resumed.
"""

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np

from uptheramp.scenarios import cache
from uptheramp.scenarios.judge import ers_sigma_ppm, true_channels
from uptheramp.scenarios.reduced import fit_planet, reduce_exposure
from uptheramp.scenarios.run import pink_covariance, rendered_curves
from uptheramp.scenarios.scenario import Scenario, find, observation_of
from uptheramp.scenarios.twin import mean_rendering, pink_rendering
from uptheramp.simulate.ramps import level1b, references
from uptheramp.simulate.ramps.render import build
from uptheramp.simulate.truth import load
from uptheramp.validate import metrics_file
from uptheramp.validate.ensemble import Ensemble

KINDS = ("fixed", "fitted")


def one(scenario: Scenario, block, seed: int, antithetic: bool, refs: Path, pink: bool) -> dict[str, np.ndarray]:
    """Recover the spectrum of one exposure; with `pink` also the noise that 1/f alone adds."""
    observation = replace(observation_of(replace(scenario, seed=seed), block), antithetic=antithetic)
    constants = build(observation)
    choices = scenario.reduction
    power = block.resolving_power or choices.resolving_power
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = level1b.write(observation, folder, constants=constants)
        grade = refs / "references" / choices.references
        quiet = lambda *_: None  # noqa: E731
        reduced = reduce_exposure(files, folder, grade, choices.table, {}, power, block.range_um, quiet)
        true = true_channels(reduced, observation, load(folder / "truth"))
        mean = None if antithetic else rendered_curves(mean_rendering(observation, constants), reduced)
        out = {"truth": true.depth, "limits": true.limits, "wavelength_um": np.asarray(reduced.curves.wavelength_um)}
        if pink:
            out["pink"] = pink_covariance(mean, rendered_curves(pink_rendering(observation, constants), reduced))
            noise = np.sqrt(true.limits**2 + out["pink"].diagonal())
            out["ers_sigma_ppm"] = np.asarray(ers_sigma_ppm(noise, observation, power))
    for kind in KINDS:
        noisy = fit_planet(reduced.curves, true.system, kind, choices.baseline_degree)
        points = np.isfinite(np.asarray(noisy.channels.residuals)).sum(1).min()
        out |= {
            f"{kind}_depth": np.asarray(noisy.planet.depth),
            f"{kind}_covariance": np.asarray(noisy.planet.covariance),
            f"{kind}_residuals": np.asarray(points - len(noisy.channels.free)),
            f"{kind}_t0_s": np.asarray((float(noisy.white.t0) - true.system.t0_bjd_tdb) * 86400),
        }
        if mean is not None:
            twin = fit_planet(mean, true.system, kind, choices.baseline_degree)
            out[f"{kind}_twin"] = np.asarray(twin.planet.depth)
            out[f"{kind}_twin_t0_s"] = np.asarray((float(twin.white.t0) - true.system.t0_bjd_tdb) * 86400)
    return out


def run(scenario: Scenario, label: str, seeds: int, pairs: int, store: Path) -> None:
    """Fill the store for one mode: `seeds` exposures, and the antitheses of the first `pairs` of them."""
    cache.enable()
    block = next(b for b in scenario.mode if b.label == label)
    folder = store / scenario.name / label
    if not (folder / "references").is_dir():
        observation = observation_of(scenario, block)
        references.write(observation, build(observation), folder, grades=(scenario.reduction.references,))
    for seed in range(1, seeds + 1):
        for antithetic in (False, True)[: 1 + (seed <= pairs)]:
            path = folder / f"seed{seed:04d}{'-mirror' if antithetic else ''}.npz"
            if path.exists():
                continue
            start = perf_counter()
            result = one(scenario, block, seed, antithetic, folder, pink=seed == 1 and not antithetic)
            np.savez(path.with_suffix(".part.npz"), **result)
            shutil.move(path.with_suffix(".part.npz"), path)
            print(f"{label} seed {seed}{' mirror' if antithetic else ''}: {perf_counter() - start:.1f} s", flush=True)


def ensemble(folder: Path, label: str, kind: str) -> tuple[Ensemble, np.ndarray, np.ndarray]:
    """All seeds of the store with the antitheses of the first, and the errors of the mid-times (s)."""
    seeds = [dict(np.load(p)) for p in sorted(folder.glob("seed????.npz"))]
    mirrors = [dict(np.load(p)) for p in sorted(folder.glob("seed????-mirror.npz"))]

    def stack(name: str, of: list) -> np.ndarray:
        return np.stack([s[f"{kind}_{name}"] for s in of])

    x = Ensemble(
        mode=label if kind == "fixed" else f"{label}, limb darkening fitted",
        wavelength_um=seeds[0]["wavelength_um"],
        depth=stack("depth", seeds),
        covariance=stack("covariance", seeds),
        truth=np.stack([s["truth"] for s in seeds]),
        twin=stack("twin", seeds),
        residuals=int(stack("residuals", seeds).min()),
        ers_sigma_ppm=float(seeds[0]["ers_sigma_ppm"]),
        partner=stack("depth", mirrors),
    )
    return x, stack("t0_s", seeds), stack("twin_t0_s", seeds)


def table(scenario: Scenario, store: Path, docs: Path | None) -> None:
    """Judge what the store holds and print (or write) the table."""
    labels = [b.label for b in scenario.mode if list((store / scenario.name / b.label).glob("seed????-mirror.npz"))]
    lines, judged = [], []
    for kind in KINDS:
        for label in labels:
            x, late, twin_late = ensemble(store / scenario.name / label, label, kind)
            mode = metrics_file.summarise_ensemble(x, modes=len(labels))
            judged.append(mode)
            lines += rows(mode, late, twin_late)
    text = "\n".join([HEAD.format(name=scenario.name), *lines, ""])
    if docs is None:
        print(text)
        return
    docs.write_text(text)
    metrics_file.write(docs.with_suffix(".json"), judged)


HEAD = """# Recovery of the truth

Made by `benchmarks/recovery.py` on the scenario `{name}` (quick sizes, estimated references, the recommended step
table): `run` for every mode, then `table`. Statistics as METRICS.md defines them; each seed and its antithesis are full
runs from Level-1b files to the planet's spectrum. "Between" is what a perfect pipeline keeps in 99 % of such tables.
Equivalence is decided by the antithetic pairs, whose noise cancels; everything else by the seeds alone. "not decided"
says that the interval is still too wide to tell a 5 % error in the error bars, not that something is outside it.
With limb darkening free and without a prior, channels of low signal do not always converge; a bin that is not finite in
every seed is left out (`bins_left_out`).
"""


def rows(mode: metrics_file.ModeMetrics, late: np.ndarray, twin_late: np.ndarray) -> list[str]:
    """One mode's section."""

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.4g}"

    out = [f"\n## {mode.mode}: {mode.verdict}, {mode.seeds} seeds\n"]
    out += ["| statistic | value | error | between | verdict |", "|---|---|---|---|---|"]
    for r in mode.records:
        unit = f" {r.unit}" if r.unit else ""
        between = f"{number(r.limit_low)} .. {number(r.limit_high)}" if r.limit_low or r.limit_high else ""
        out.append(f"| {r.name} | {number(r.value)}{unit} | {number(r.standard_error)} | {between} | {r.verdict} |")
    error = late.std(ddof=1) / len(late) ** 0.5
    out.append(f"| mid_transit_time | {late.mean():.4f} s | {error:.4f} | | mean over seeds |")
    out.append(f"| mid_transit_time_algorithmic | {twin_late.mean():.4f} s | | | noise-free twin |")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("run", "table"))
    parser.add_argument("scenario")
    parser.add_argument("mode", nargs="?")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--store", type=Path, default=Path("out/recovery"))
    parser.add_argument("--docs", type=Path)
    given = parser.parse_args()
    if given.action == "run":
        run(find(given.scenario), given.mode, given.seeds, given.pairs, given.store)
    else:
        table(find(given.scenario), given.store, given.docs)


if __name__ == "__main__":
    main()
