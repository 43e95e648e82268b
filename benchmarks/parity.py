"""Our `jwst_3_0` Stage 1 beside the official one, step by step and end to end: the tables of docs/parity.md.

    python benchmarks/parity.py FOLDER --peer ../shared/peer [--case NAME ...] [--docs docs/parity.md]

The harness (`make_refs.py`, `make_uncal.py`, `run_peer.py`; the official pipeline 3.0.0 itself runs) makes exposures
and CRDS-format references of its eight modes in FOLDER and reduces them with every step's output kept. Step by step
each of our steps is given the official output of the step before. What FOLDER holds already is not made again.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from astropy.io import fits

from uptheramp.calibrate import flags
from uptheramp.calibrate.io.exposure import Exposure, open_exposure
from uptheramp.calibrate.pipeline import params_of
from uptheramp.calibrate.reduce import reftypes
from uptheramp.calibrate.references import library
from uptheramp.calibrate.settings import Recipe, recipe
from uptheramp.calibrate.state import Ramps
from uptheramp.calibrate.step import Step
from uptheramp.calibrate.stream import detector, learned

MODES = ("soss256", "soss96", "nrs_prism", "nrs_g395h", "nrc_sub64", "nrc_sub256", "miri_lrs", "nrc_tsimg")
RELATIVE, OF_ERROR = 1e-5, 1e-3  # agreement, METRICS.md
LAST = "ramp"  # the official name of what enters the slope fit


@dataclass(frozen=True)
class Case:
    """An exposure of one mode, and what is set otherwise than by default."""

    mode: str
    nints: int
    note: str = "two-point"
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A name for folders and tables."""
        return f"{self.mode}, {self.note}"


ON = {"skip": False}
CASES = [
    *(Case(mode, 3) for mode in MODES),
    Case("miri_lrs", 10, "two-point, 10 integrations"),
    Case("nrs_prism", 110, "sigma clip"),
    Case("nrs_g395h", 3, "LIKELY", {"ramp_fit": {"algorithm": "LIKELY"}}),
    Case("nrc_sub64", 3, "optional steps", {"charge_migration": ON, "persistence": {**ON, "persistence_time": 40}}),
    Case("nrc_sub64", 3, "clean_flicker_noise", {"clean_flicker_noise": ON}),
    Case("miri_lrs", 3, "optional steps", {"emicorr": ON, "firstframe": ON, "charge_migration": ON}),
]


class Agreement(NamedTuple):
    """Values within tolerance of those compared, the largest difference in errors, flags that differ."""

    within: int
    compared: int
    largest: float
    flags: int


def agreement(
    ours: np.ndarray, theirs: np.ndarray, error: np.ndarray, same: np.ndarray, flags_differ: int
) -> Agreement:
    """Compare values where `same` (both have one, and equal flags)."""
    difference = np.abs(ours - theirs)[same]
    allowed = (RELATIVE * np.abs(theirs) + OF_ERROR * error)[same]
    scale = np.broadcast_to(error, theirs.shape)[same]
    largest = float((difference / np.where(scale > 0, scale, np.inf)).max(initial=0))
    return Agreement(int((difference <= allowed).sum()), int(same.sum()), largest, flags_differ)


def prepare(case: Case, folder: Path, peer: Path) -> Path:
    """Exposure, references and official products of a case, made where they are not there yet."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}

    def call(script: str, *arguments: Any) -> None:
        command = [sys.executable, str(peer / script), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, env=environment)

    if not (folder / "crds").is_dir():
        call("make_refs.py", folder / "crds", *MODES, "--only", "detector1")
    inputs = folder / f"{case.mode}-{case.nints}"
    uncal = inputs / f"{case.mode}_uncal.fits"
    if not uncal.is_file():
        call("make_uncal.py", case.mode, inputs, "--nints", case.nints)
    out = folder / case.name.replace(", ", "-").replace(" ", "-")
    if not (out / f"{case.mode}_rateints.fits").is_file():
        chosen = our_recipe(case, open_exposure([uncal]))
        steps = {
            step.name: {"save_results": True} for step in chosen.stage1 if step.name not in ("ramp_fit", "gain_scale")
        }
        for name, values in case.settings.items():
            steps[name] = {**steps.get(name, {}), **values}
        pars = json.dumps({"save_calibrated_ramp": True})
        call(
            "run_peer.py",
            "detector1",
            uncal,
            out,
            "--crds",
            folder / "crds",
            "--pars",
            pars,
            "--steps",
            json.dumps(steps),
        )
    return out


def our_recipe(case: Case, exposure: Exposure) -> Recipe:
    """The same settings for our table."""
    overrides = {f"{step}.{key}": str(v) for step, values in case.settings.items() for key, v in values.items()}
    return recipe("jwst_3_0", exposure.instrument.step_family, exposure.meta.exp_type, overrides, stages=(1,))


@eqx.filter_jit
def _run(step: Step, state: Any, refs: Any, params: Any) -> Any:
    return step(state, refs, params)[0]


def official_state(path: Path, like: Ramps) -> Ramps:
    """A ramp product of the official pipeline as our state."""
    with fits.open(path) as hdus:
        arrays = {name: np.asarray(hdus[name.upper()].data) for name in ("groupdq", "pixeldq")}
        arrays["data"] = np.asarray(hdus["SCI"].data)
    native = {name: jnp.asarray(a.astype(a.dtype.newbyteorder("="))) for name, a in arrays.items()}
    return replace(like, data=native["data"], groupdq=native["groupdq"], pixeldq=native["pixeldq"].astype(jnp.uint32))


def by_step(case: Case, out: Path, exposure: Exposure, refs: dict[str, Any]) -> Iterator[tuple[str, Agreement]]:
    """Each of our steps on the official input of that step."""
    chosen = our_recipe(case, exposure)
    state = next(exposure.chunks(exposure.nints))[2]
    read = np.asarray(refs["readnoise"].data)
    for step in chosen.stage1:
        known = dict(refs)
        if step.learn is not None:
            known[step.learned] = step.learn(state, step.select(known), params_of(step, chosen.params))
        if step.name == "ramp_fit":
            yield (
                step.name,
                rates_agree(_run(step, state, step.select(known), params_of(step, chosen.params)), out, case),
            )
            return
        path = out / f"{case.mode}_{step.name}.fits"
        if not path.is_file():
            continue
        ours = _run(step, state, step.select(known), params_of(step, chosen.params))
        theirs = official_state(path, state)
        differ = int((np.asarray(ours.groupdq) != np.asarray(theirs.groupdq)).sum())
        differ += int((np.asarray(ours.pixeldq) != np.asarray(theirs.pixeldq)).sum())
        data, official = (np.asarray(s.data, np.float32) for s in (ours, theirs))
        yield step.name, agreement(data, official, read, np.isfinite(official), differ)
        state = theirs


def rates_agree(rates: Any, out: Path, case: Case, groups_same: np.ndarray | bool = True) -> Agreement:
    """Slopes against the official ones, where both fitted groups of equal flags."""
    with fits.open(out / f"{case.mode}_rateints.fits") as hdus:
        slope, error, dq = (np.asarray(hdus[name].data) for name in ("SCI", "ERR", "DQ"))
    ours = np.asarray(rates.data)
    same = np.isfinite(slope) & np.isfinite(ours) & groups_same
    # a ramp without any usable difference is NaN and DO_NOT_USE here and, from LIKELY, NaN alone there
    unfitted = ~np.isfinite(slope) & ~np.isfinite(ours)
    unlike = (np.asarray(rates.dq) != dq) & ~(unfitted & ((np.asarray(rates.dq) ^ dq) == flags.DO_NOT_USE))
    return agreement(ours, slope, error, same, int(unlike.sum()))


def end_to_end(case: Case, out: Path, exposure: Exposure, refs: dict[str, Any]) -> tuple[Agreement, int]:
    """The whole of Stage 1 against the official one: slopes, and group flags that differ."""
    chosen = our_recipe(case, exposure)
    chunk = next(exposure.chunks(exposure.nints))
    (ours,) = detector(chosen.stage1, [chunk], learned(chosen.stage1, chunk[2], refs, chosen.params), chosen.params)
    with fits.open(out / f"{case.mode}_{LAST}.fits") as hdus:
        differ = np.asarray(ours.groupdq) != hdus["GROUPDQ"].data
    return rates_agree(ours.rates, out, case, ~differ.any(1)), int(differ.sum())


def percent(part: int, whole: int) -> str:
    """A share with as many digits as it has nines."""
    if part == whole:
        return "100 %"
    missing = 1 - part / whole
    return f"{100 - 100 * missing:.{max(1, int(-np.log10(missing)))}f} %"


def cell(a: Agreement) -> str:
    """One step of one case."""
    values = "=" if a.within == a.compared else percent(a.within, a.compared)
    return values + (f", {a.flags} flags" if a.flags else "")


def write(docs: Path, tables: dict[str, list[str]]) -> None:
    """Replace what stands between the marks of each table."""
    text = docs.read_text()
    for name, lines in tables.items():
        head, rest = text.split(f"<!-- {name} -->\n", 1)
        _, tail = rest.split("<!-- end -->", 1)
        text = f"{head}<!-- {name} -->\n" + "\n".join(lines) + f"\n<!-- end -->{tail}"
    docs.write_text(text)


def main() -> None:
    """Run the cases, keep their results in FOLDER/parity.json, and write the tables into the page if one is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--case", action="append", help="only these, e.g. 'nrs_prism, sigma clip'")
    parser.add_argument("--docs", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    kept = given.folder / "parity.json"
    results = json.loads(kept.read_text()) if kept.is_file() else {}
    for case in [c for c in CASES if not given.case or c.name in given.case]:
        out = prepare(case, given.folder, given.peer)
        exposure = open_exposure([given.folder / f"{case.mode}-{case.nints}" / f"{case.mode}_uncal.fits"])
        classes = reftypes(our_recipe(case, exposure).stage1)
        found = library.find(given.folder / "crds" / "references", exposure.meta, classes)
        refs = library.load(found, exposure.meta, classes)
        total, groups = end_to_end(case, out, exposure, refs)
        row = [
            f"{exposure.nints} x {exposure.meta.ngroups}",
            percent(total.within, total.compared),
            f"{total.largest:.1e} ERR",
            str(total.flags or "same"),
            str(groups or "same"),
        ]
        results[case.name] = {"row": row, "steps": {n: cell(a) for n, a in by_step(case, out, exposure, refs)}}
        kept.write_text(json.dumps(results, indent=1))
        print(case.name, results[case.name], flush=True)  # noqa: T201
    if given.docs:
        write(given.docs, tables({c.name: results[c.name] for c in CASES if c.name in results}))


def tables(results: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The two tables in Markdown."""
    whole = [
        "| mode, case | integrations x groups | pixels that agree | largest difference | rate flags | group flags |"
    ]
    whole.append("|---" * 6 + "|")
    whole += [f"| {name} | " + " | ".join(result["row"]) + " |" for name, result in results.items()]
    names = list(dict.fromkeys(step for result in results.values() for step in result["steps"]))
    each = ["| mode, case | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for name, result in results.items():
        each.append(f"| {name} | " + " | ".join(result["steps"].get(step, "") for step in names) + " |")
    return {"end to end": whole, "step by step": each}


if __name__ == "__main__":
    main()
