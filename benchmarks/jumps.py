"""Jumps found against false alarms: two-point, sigma clip, likelihood and the series, at equal false-positive rate.

    python benchmarks/jumps.py docs/jumps.md

Exposures of a small window with everything that the simulator does by default: tracks of cosmic rays (a storm, for
statistics), a transit, telegraph pixels, 1/f; `estimated` references; Stage 1 of the recommended table up to the jump
step. Each method is the step that users run, without neighbours and after-jump flags; its threshold is varied until
the rate of false positives is the one asked for (validate/metrics/jump.py). Writes the page and `jumps.png` beside it.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache as cached
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from uptheramp.calibrate import flags
from uptheramp.calibrate.instruments import lookup
from uptheramp.calibrate.io.atomic import whole
from uptheramp.calibrate.io.exposure import Exposure, Segment
from uptheramp.calibrate.kernels import order, ramp_likelihood
from uptheramp.calibrate.pipeline import compiled, memory_before
from uptheramp.calibrate.reduce import SAMPLE, reftypes
from uptheramp.calibrate.settings import recipe
from uptheramp.calibrate.stage1.differences import differences
from uptheramp.calibrate.stage1.jump import JumpParams, JumpRefs, jump, learn_differences
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.stream import learned
from uptheramp.scenarios import cache
from uptheramp.scenarios.scenario import ModeBlock, find, observation_of
from uptheramp.simulate import truth
from uptheramp.simulate.observation import Observation
from uptheramp.simulate.ramps import clock, level1b, references
from uptheramp.simulate.ramps.render import build
from uptheramp.validate.figures.jump_efficiency import jump_efficiency
from uptheramp.validate.metrics.intervals import clopper_pearson
from uptheramp.validate.metrics.jump import clean

Mask = Bool[np.ndarray, "integration difference y x"]
RATES = (1e-3, 1e-4, 1e-5)
KS = (3.0, 4.0, 5.0, 6.0, 8.0, 12.0)  # lower edges of the classes of charge, in sigma of a difference
THRESHOLDS = np.geomspace(2.4, 9.0, 20)
FEWEST_FALSE = 10  # false positives that fix a rate
FOR_LIKELIHOOD = 100  # integrations: it looks at each alone
CLASSES = (3.0, 4.0, 5.0, 8.0)  # k of the tables
SHOWN = "1e-05"
CHUNK = 2**24  # samples taken through Stage 1 at once
EXPOSURES = {
    "NIRSpec PRISM": ModeBlock("nirspec_prism", ngroups=12, nints=0, k_mag=12.2, subarray="SUB512S"),
    "MIRI F1500W": ModeBlock("miri_image_f1500w", ngroups=20, nints=0, k_mag=7.5, subarray="SUB64"),
}
STORM = {"NIRSpec PRISM": 30.0, "MIRI F1500W": 8.0}  # times the table's flux of cosmic rays
SEEDS = {10: (1, 2, 3), 100: (11,), 500: (21,)}  # by number of integrations
ROWS = {10: None, 100: None, 500: 8}  # of the window that are judged, around its middle


@dataclass(frozen=True)
class Prepared:
    """Ramps as the jump step gets them, with the charge left in each difference, e-."""

    ramps: Ramps
    refs: JumpRefs
    deposited_e: Float[np.ndarray, "integration difference y x"]
    sigma_e: Float[np.ndarray, "y x"]
    usable: Mask


def exposure(name: str, nints: int, seed: int) -> Observation:
    """One exposure with the transit in its middle half."""
    effects = {"cosmic_rays": {"flux_scale": STORM[name]}}
    block = replace(EXPOSURES[name], nints=nints, integrations_in_transit=nints / 2, effects=effects, label=name)
    return observation_of(replace(find("quickstart"), seed=seed), block)


def prepare(o: Observation) -> Prepared:
    """Render an exposure and take it through Stage 1 up to the jump step."""
    constants = build(o)
    pieces = list(level1b.chunks(o, constants, level1b.chunk_size(o)))
    data = np.concatenate([piece for _, piece, _ in pieces])
    hits = np.concatenate([truth.catalogue(first, drawn["cosmic_rays"]) for first, _, drawn in pieces])
    instrument, mode, subarray = lookup.match(o.meta)
    segment = Segment(Path("memory_uncal.fits"), o.meta, "uncal", clock.int_times(o))
    served = Exposure((segment,), instrument, mode, subarray)
    chosen = recipe("recommended", o.instrument.step_family, o.mode.exp_type, {}, stages=(1,))
    steps = chosen.stage1[: chosen.stage1.index(jump)]
    made = references.make(o, constants, "estimated")
    library = {name: made[name] for name in reftypes(chosen.stage1) if name in made}
    picks = members(o.nints)
    sample = served.ramps(data[picks], picks, np.ones(len(picks), bool))
    library = learned(steps, sample, library, chosen.params)
    ramps = joined(served, steps, library, chosen.params, data)
    nothing = np.zeros((o.nints, 1, 1))
    true = truth.of(o, constants, nothing, nothing, truth.no_cosmic_rays())
    lit = (true.rate_e_per_s > 0) & ((np.asarray(ramps.pixeldq) & flags.DO_NOT_USE) == 0)
    return Prepared(
        ramps,
        JumpRefs(library["gain"], library["readnoise"], None),
        deposits(hits, (o.nints, o.ngroups - 1, *o.shape)),
        np.sqrt(true.rate_e_per_s * o.meta.group_time_s + 2 * true.read_noise_e**2),
        np.asarray(differences(ramps)[1]) & lit,
    )


def members(nints: int) -> np.ndarray:
    """The integrations that the pipeline would learn on."""
    return np.unique(np.linspace(0, nints - 1, min(SAMPLE, nints)).round().astype(int))


def joined(served: Exposure, steps: tuple, library: dict, params: dict, data: np.ndarray) -> Ramps:
    """The exposure after some steps, chunk by chunk."""
    nints = len(data)
    size = min(nints, max(1, CHUNK // data[0].size))
    parts, memory = [], None
    for first in range(0, nints, size):
        number = np.arange(first, first + size)
        state = served.ramps(data[np.minimum(number, nints - 1)], number, number < nints)
        memory = memory_before(steps, state, params) if memory is None else memory
        state, _ = compiled(steps, replace(state, memory=memory), library, params)
        memory = state.memory
        parts.append(jax.tree.map(lambda x, n=min(size, nints - first): np.asarray(x)[:n], (state.data, state.groupdq)))
    whole_data, dq = (np.concatenate(column) for column in zip(*parts, strict=True))
    return replace(state, data=whole_data, groupdq=dq, integration=np.arange(nints), memory={}, start_s=None)


def deposits(hits: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Charge left in each difference: what came between two reads (single frames), and not before the first."""
    out = np.zeros(shape, np.float32)
    late = hits[hits["frame"] > 0]
    np.add.at(out, (late["integration"], late["frame"] - 1, late["y"], late["x"]), late["electrons"])
    return out


def cut(p: Prepared, integrations: slice = slice(None), rows: slice = slice(None)) -> Prepared:
    """Return some integrations and rows only."""
    r = p.ramps
    pixels, samples = (rows,), (integrations, slice(None), rows)
    ramps = replace(
        r,
        data=r.data[samples],
        groupdq=r.groupdq[samples],
        integration=r.integration[integrations],
        pixeldq=r.pixeldq[pixels],
    )
    refs = jax.tree.map(lambda x: x[pixels] if np.ndim(x) == 2 else x, p.refs)
    return Prepared(ramps, refs, p.deposited_e[samples], p.sigma_e[pixels], p.usable[samples])


@eqx.filter_jit
def _stepped(ramps: Ramps, refs: JumpRefs, params: JumpParams) -> Array:
    out, _ = jump(ramps, refs, params)
    return (out.groupdq[:, 1:] & flags.JUMP_DET) != 0


@eqx.filter_jit
def _learned(ramps: Ramps, refs: JumpRefs, params: JumpParams) -> Any:
    return learn_differences(ramps, refs, params)


@eqx.filter_jit
def _searched(ramps: Ramps, refs: JumpRefs, threshold: Array) -> Array:
    """What ramp_fit LIKELY gives up (stage1/ramp_fit.py), at another threshold; single frames, so no pairs."""
    r = ramps.readout
    units = ramp_likelihood.shapes(ramp_likelihood.reads([[1.0 + g] for g in range(r.ngroups)]), ramps.group_time_s)
    difference, usable = (jnp.moveaxis(x, 1, 0) for x in differences(ramps))
    difference = difference / ramps.group_time_s.astype(difference.dtype)
    rate = jnp.maximum(order.median(difference, jnp.ones_like(usable)), 0)
    covariance = ramp_likelihood.covariance(units, rate / refs.gain.data, refs.readnoise.data**2 / 2)
    kept, _ = ramp_likelihood.search(difference, usable, covariance, False, threshold**2, threshold**2)
    return jnp.moveaxis(usable & ~kept, 0, 1)


def of_step(**choices: Any) -> Callable[[Prepared], Callable[[Any], Array]]:
    """The jump step with some parameters, as a function of the threshold."""

    def made(p: Prepared) -> Callable[[Any], Array]:
        params = JumpParams(flag_4_neighbors=False, min_diffs_single_pass=1, **choices)
        picks = members(len(p.ramps.data))
        r = p.ramps
        sample = replace(r, data=r.data[picks], groupdq=r.groupdq[picks], integration=r.integration[picks])
        refs = replace(p.refs, difference_template=_learned(sample, p.refs, params))
        return lambda threshold: _stepped(r, refs, replace(params, rejection_threshold=threshold))

    return made


METHODS: dict[str, Callable[[Prepared], Callable[[Any], Array]]] = {
    "two-point": of_step(minimum_sigclip_groups=10**9),
    "sigma clip": of_step(minimum_sigclip_groups=0),
    "likelihood": lambda p: lambda threshold: _searched(p.ramps, p.refs, threshold),
    "template": of_step(expectation="template"),
    "series": of_step(expectation="series"),
}


NOTE = """\
# Jumps: efficiency against false-positive rate

Made by `python benchmarks/jumps.py docs/jumps.md`; cases that `jumps.json` holds are not measured again.
Efficiency(k) is the fraction found of the group differences into which a hit put at least k sigma, sigma of the photon
and read noise of one difference. The false-positive rate is the flagged fraction of differences in pixels without a hit
within 3 x 3 pixels. Both are as METRICS.md has them: own detections only, methods at equal rate.

- **Exposures**: `SUB512S` of NIRSpec PRISM (12 groups) and `SUB64` of MIRI F1500W (20 groups), with all effects that
  are on by default: tracks, transit (half of the integrations), telegraph pixels (1 in 1000), 1/f; estimated
  references. The flux of cosmic rays is {storm} times the table's, for statistics: what methods learn from is dirtier
  than in flight. At 500 integrations {rows} rows around the middle are judged.
- **two-point, sigma clip**: the official ones, in a single pass as the official step has it for 10 differences or more.
  **likelihood**: the search of the official LIKELY fit, on at most {alone} integrations, as it looks at each alone.
  **template**: differences one by one against a median of the series. **series**: `stage1/jump_series.py`, a matched
  filter of a step against the expectation of the series; learned, as in the pipeline, on {sample} integrations.
- **Limits**: errors are half the 68 % interval of the counted hits; a rate is given where at least {fewest} false
  positives fix it. All methods see the same exposures.
- `series` is one-sided, since hits only add charge; for Gaussian noise its threshold would be 3.09, 3.72 and 4.26 at
  the three rates.

![Fraction found by charge](jumps.png)

"""


class Point(NamedTuple):
    """At one false-positive rate: the threshold, the numbers of hits found and there, by class of charge."""

    threshold: float
    found: list[float]
    there: list[int]


class Truth(NamedTuple):
    """Where false positives are counted, and where there are hits of which class (from 0)."""

    quiet: Mask
    where: tuple[np.ndarray, ...]
    number: np.ndarray

    @classmethod
    def of(cls, p: Prepared) -> "Truth":
        """Return the truth of an exposure."""
        size = np.where(p.usable, p.deposited_e / p.sigma_e, 0)
        where = np.nonzero(size >= KS[0])
        return cls(clean(p.deposited_e, p.sigma_e) & p.usable, where, np.digitize(size[where], KS) - 1)

    def counts(self, flagged: Mask) -> tuple[int, int, np.ndarray, np.ndarray]:
        """False positives and clean differences; hits found and there, by class."""
        found = np.bincount(self.number[flagged[self.where]], minlength=len(KS))
        there = np.bincount(self.number, minlength=len(KS))
        return int((flagged & self.quiet).sum()), int(self.quiet.sum()), found, there


def curve(found: list[Callable[[Any], Array]], exposures: list[Prepared]) -> dict[str, Point]:
    """By rate; between two thresholds of the grid efficiencies are linear in the logarithm of the rate."""

    truths = [Truth.of(p) for p in exposures]

    @cached
    def at(index: int) -> tuple[float, int, np.ndarray, np.ndarray]:
        threshold = jnp.asarray(THRESHOLDS[index], jnp.float32)
        rows = [t.counts(np.asarray(f(threshold))) for f, t in zip(found, truths, strict=True)]
        false, quiet, hit, there = (sum(column) for column in zip(*rows, strict=True))
        return false / quiet, quiet, hit, there

    points = {}
    for rate in RATES:
        low, high = 0, len(THRESHOLDS) - 1  # rates fall with the threshold
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if at(middle)[0] > rate else (low, middle)
        (above, quiet, hit_low, there), (below, _, hit_high, _) = at(low), at(high)
        if quiet * rate < FEWEST_FALSE:
            continue
        share = np.clip(np.log(above / rate) / np.log(above / max(below, 0.1 / quiet)), 0, 1)
        threshold = THRESHOLDS[low] * (THRESHOLDS[high] / THRESHOLDS[low]) ** share
        hit = hit_low + share * (hit_high - hit_low)
        points[f"{rate:.0e}"] = Point(float(threshold), hit.tolist(), there.tolist())
    return points


def measured(name: str, nints: int) -> dict[str, dict[str, Point]]:
    """Every method on the same exposures."""
    start = perf_counter()
    exposures = [prepare(exposure(name, nints, seed)) for seed in SEEDS[nints]]
    if ROWS[nints] is not None:
        middle = exposures[0].sigma_e.shape[0] // 2
        exposures = [cut(p, rows=slice(middle - ROWS[nints] // 2, middle + ROWS[nints] // 2)) for p in exposures]
    print(f"{name} {nints}: {perf_counter() - start:.0f} s", flush=True)
    out = {}
    for method, made in METHODS.items():
        taken = [cut(p, slice(FOR_LIKELIHOOD)) for p in exposures] if method == "likelihood" else exposures
        out[method] = curve([made(p) for p in taken], taken)
        print(f"  {method}: {perf_counter() - start:.0f} s", flush=True)
    return out


def efficiency(point: Point, least: float) -> tuple[float, float, float, int]:
    """Fraction found of the hits of at least so many sigma, its 68 % interval, their number."""
    chosen = np.array(KS) >= least
    found, there = np.array(point.found)[chosen].sum(), int(np.array(point.there)[chosen].sum())
    return found / there, *clopper_pearson(round(found), there), there


def introduction() -> str:
    """What was done, in words."""
    storm = " and ".join(f"{factor:.0f} ({name})" for name, factor in STORM.items())
    values = {"storm": storm, "rows": ROWS[500], "alone": FOR_LIKELIHOOD, "sample": SAMPLE, "fewest": FEWEST_FALSE}
    return NOTE.format(**values)


def table(name: str, nints: int, methods: dict[str, dict[str, Point]]) -> str:
    """Efficiency by rate, threshold, method and least charge."""
    lines = [
        f"## {name}, {nints} integrations\n",
        f"| false-positive rate | method | threshold | {' | '.join(f'k = {k:.0f}' for k in CLASSES)} |",
        "|---" * (3 + len(CLASSES)) + "|",
    ]
    for rate in [f"{r:.0e}" for r in RATES]:
        for method, points in methods.items():
            if rate in points:
                cells = [cell(points[rate], k) for k in CLASSES]
                lines.append(f"| {rate} | {method} | {points[rate].threshold:.2f} | {' | '.join(cells)} |")
    number = next(iter(methods["series"].values())).there
    classes = ", ".join(f"{n} from {k:.0f} sigma" for n, k in zip(number, KS, strict=True))
    return "\n".join(lines) + f"\n\nNumber of hits by class: {classes}.\n"


def cell(point: Point, k: float) -> str:
    """An efficiency with half the width of its interval."""
    value, low, high, _ = efficiency(point, k)
    return f"{value:.3f} ± {(high - low) / 2:.3f}"


def main() -> None:
    """Measure what `jumps.json` beside the page does not hold yet; write the page and its picture."""
    cache.enable()
    page = Path(sys.argv[1])
    store = page.with_suffix(".json")
    kept = json.loads(store.read_text()) if store.is_file() else {}
    for name in EXPOSURES:
        for nints in SEEDS:
            if f"{name} {nints}" not in kept:
                kept[f"{name} {nints}"] = measured(name, nints)
                with whole(store) as path:
                    path.write_text(json.dumps(kept, indent=1))
                write(page, kept)
    write(page, kept)


def write(page: Path, kept: dict[str, Any]) -> None:
    """The page and the picture of what there is."""
    results = {
        case: {m: {rate: Point(*p) for rate, p in points.items()} for m, points in methods.items()}
        for case, methods in kept.items()
    }
    cases = [(name, nints) for name in EXPOSURES for nints in SEEDS if f"{name} {nints}" in results]
    tables = [table(name, nints, results[f"{name} {nints}"]) for name, nints in cases]
    others = [f"{name} {nints}" for name in EXPOSURES for nints in SEEDS if f"{name} {nints}" not in results]
    missing = f"\nNot measured yet (the command goes on with them): {', '.join(others)}.\n" if others else ""
    with whole(page) as path:
        path.write_text(introduction() + "\n".join(tables) + missing)
    with whole(page.with_suffix(".png")) as path:
        shown = {
            f"{case} integrations": {m: (p[SHOWN].found, p[SHOWN].there) for m, p in methods.items() if SHOWN in p}
            for case, methods in results.items()
        }
        jump_efficiency(shown, KS, SHOWN).savefig(path, dpi=110, format="png")


if __name__ == "__main__":
    main()
