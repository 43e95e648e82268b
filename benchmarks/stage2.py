"""Our `jwst_3_0` Stage 2 beside the official one, step by step and end to end: the tables of docs/stage2_parity.md.

    python benchmarks/stage2.py FOLDER --peer ../shared/peer [--case NAME ...] [--docs docs/stage2_parity.md]

The harness makes exposures and CRDS-format references of its eight modes in FOLDER and the official Detector1 reduces
them; `stage2_references.py` puts structure into the references that the harness leaves at 1. The same rateints and
references then go through the official Spec2 or Image2 with every step's output kept, and through ours. Step by step
each of our steps is given the official output of the step before. What FOLDER holds already is not made again.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from astropy.io import fits
from parity import MODES, Agreement, percent, write
from stage2_compare import Spectral, columns_of, images_agree, tables, unlike
from stage2_references import enrich

from uptheramp.calibrate import flags
from uptheramp.calibrate.io.exposure import Exposure, open_exposure
from uptheramp.calibrate.pipeline import params_of
from uptheramp.calibrate.reduce import reftypes, stage2
from uptheramp.calibrate.references import library
from uptheramp.calibrate.settings import Recipe, recipe
from uptheramp.calibrate.state import Rates, Spectra
from uptheramp.calibrate.stream import learned, split

NINTS = 3
# the official steps that change pixels, in their order, and the suffix of what each leaves
SEQUENCE = {
    "NIS_SOSS": ("assign_wcs", "bkg_subtract", "flat_field"),
    "NRS_BRIGHTOBJ": ("assign_wcs", "extract_2d", "wavecorr", "flat_field", "photom", "pixel_replace"),
    "NRC_TSGRISM": ("assign_wcs", "flat_field", "extract_2d", "photom", "pixel_replace"),
    "MIR_LRS-SLITLESS": ("assign_wcs", "flat_field", "photom", "pixel_replace"),
    "NRC_TSIMAGE": ("assign_wcs", "flat_field", "photom"),
}
SUFFIX = {"bkg_subtract": "bsubints"}
PLANES = {"data": "SCI", "var_poisson": "VAR_POISSON", "var_rnoise": "VAR_RNOISE", "var_flat": "VAR_FLAT", "dq": "DQ"}


@dataclass(frozen=True)
class Case:
    """An exposure of one mode, and what is set otherwise than by default."""

    mode: str
    note: str = ""
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A name for folders and tables."""
        return f"{self.mode}, {self.note}" if self.note else self.mode


BOX = {"extract_1d": {"soss_atoca": False}}
FILLED = {"pixel_replace": {"skip": False}}
CASES = [
    *(Case(mode, "box", BOX) if mode.startswith("soss") else Case(mode) for mode in MODES),
    Case("nrc_sub64", "pixel_replace", FILLED),
]


class Inputs(NamedTuple):
    """Where the files of a case lie."""

    rateints: Path
    official: Path  # folder of its products
    references: tuple[Path, ...]  # folders of references, the first before the next


def prepare(case: Case, folder: Path, peer: Path) -> Inputs:
    """Exposure, references and official products of a case, made where they are not there yet."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    crds = folder / "crds"

    def call(script: str, *arguments: Any) -> None:
        command = [sys.executable, str(peer / script), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, env=environment)

    if not crds.is_dir():
        call("make_refs.py", crds, "all")
    inputs = folder / f"{case.mode}-{NINTS}"
    rateints = inputs / f"{case.mode}_rateints.fits"
    if not rateints.is_file():
        uncal = inputs / f"{case.mode}_uncal.fits"
        call("make_uncal.py", case.mode, inputs, "--nints", NINTS)
        call("run_peer.py", "detector1", uncal, inputs, "--crds", crds)
    richer = folder / "references" / case.mode
    if not richer.is_dir():
        enrich(case.mode, crds / "made" / case.mode, richer, open_exposure([rateints]).meta)
    out = folder_of(case, folder)
    if not (out / f"{case.mode}_calints.fits").is_file():
        exp_type = fits.getheader(rateints)["EXP_TYPE"]
        steps = {name: {"save_results": True} for name in SEQUENCE[exp_type]}
        for path in richer.iterdir():
            reftype = path.name.split("_")[2]
            steps.setdefault(OWNER[reftype], {})[f"override_{reftype}"] = str(path.resolve())
        for name, values in case.settings.items():
            steps[name] = {**steps.get(name, {}), **values}
        stage = "image2" if exp_type == "NRC_TSIMAGE" else "spec2"
        call("run_peer.py", stage, rateints, out, "--crds", crds, "--steps", json.dumps(steps))
    return Inputs(rateints, out, (richer, crds / "made" / case.mode))


OWNER = {"flat": "flat_field", "fflat": "flat_field", "sflat": "flat_field", "dflat": "flat_field"}
OWNER |= {"photom": "photom", "extract1d": "extract_1d", "apcorr": "extract_1d"}


def our_recipe(case: Case, exposure: Exposure) -> Recipe:
    """Our table with the settings that it knows by the same names."""
    overrides = {
        f"{s}.{k}": str(v) for s, values in case.settings.items() for k, v in values.items() if k != "soss_atoca"
    }
    return recipe("jwst_3_0", exposure.instrument.step_family, exposure.meta.exp_type, overrides, stages=(2,))


class Cut(NamedTuple):
    """Where an official image lies in the window of the exposure (first row, first column), and how large it is."""

    y: int
    x: int
    shape: tuple[int, int]

    @property
    def slices(self) -> tuple[slice, slice]:
        """The cut of (..., y, x) arrays."""
        return slice(self.y, self.y + self.shape[0]), slice(self.x, self.x + self.shape[1])


def cut_of(path: Path) -> Cut:
    """Read the cut-out of a product; the whole window where it is none."""
    with fits.open(path) as hdus:
        header, shape = hdus["SCI"].header, hdus["SCI"].data.shape[-2:]
        window = hdus[0].header["SUBSIZE2"], hdus[0].header["SUBSIZE1"]
    if shape == window:
        return Cut(0, 0, shape)  # MIRI gives the place of the window on the detector
    return Cut(header.get("SLTSTRT2", 1) - 1, header.get("SLTSTRT1", 1) - 1, shape)


def official_state(path: Path, like: Rates) -> Rates:
    """An official image product as our state, in the frame of `like`; around a cut-out pixels are DO_NOT_USE."""
    cut = cut_of(path)
    planes: dict[str, Any] = {"data": np.full(like.data.shape, np.nan, np.float32)}
    planes |= {name: np.zeros(like.data.shape, np.float32) for name in ("var_poisson", "var_rnoise", "var_flat")}
    planes["dq"] = np.full(like.data.shape, flags.DO_NOT_USE, np.uint32)
    with fits.open(path) as hdus:
        for name, extension in PLANES.items():
            if extension in hdus:
                planes[name][:, *cut.slices] = hdus[extension].data
        unit = hdus["SCI"].header.get("BUNIT", "DN/s")
        wavelength = None
        if "WAVELENGTH" in hdus:
            wavelength = np.full(like.data.shape[-2:], np.nan, np.float32)
            wavelength[cut.slices] = hdus["WAVELENGTH"].data
            wavelength = jnp.asarray(wavelength)
    return replace(like, **{k: jnp.asarray(v) for k, v in planes.items()}, wavelength_um=wavelength, unit=unit)


def references(inputs: Inputs, exposure: Exposure, steps: tuple) -> dict[str, Any]:
    """The references of our steps: the files that the official steps took."""
    classes = reftypes(steps)
    found: dict[str, Path] = {}
    for directory in inputs.references:
        wanted = [name for name in library.wanted(classes, exposure.meta) if name not in found]
        if any(directory.glob("*")):
            found |= library.find(directory, exposure.meta, wanted)
    return library.load(found, exposure.meta, classes)


@eqx.filter_jit
def _run(step: Any, state: Any, refs: Any, params: Any) -> Any:
    return step(state, refs, params)[0]


def by_step(case: Case, inputs: Inputs, exposure: Exposure, chosen: Recipe, refs: Mapping[str, Any]) -> Iterator:
    """Each of our steps on the official input of that step."""
    like = exposure.rates(0, exposure.nints)
    made = [
        (name, inputs.official / f"{case.mode}_{SUFFIX.get(name, name)}.fits")
        for name in SEQUENCE[exposure.meta.exp_type]
    ]
    made = [(name, path) for name, path in made if path.is_file()]
    before = {name: (made[k - 1][1] if k else inputs.rateints) for k, (name, _) in enumerate(made)}
    after = dict(made)
    on_images, on_spectra = split(chosen.stage2, Spectra)
    wavelength = jnp.asarray(refs["wavemap"].wavelength_um) if "wavemap" in refs else None
    known = learned(chosen.stage2, like, refs, chosen.params)
    for step in on_images:
        if step.name not in after:
            continue
        state = replace(official_state(before[step.name], like), wavelength_um=wavelength)
        ours = _run(step, state, step.select(known), params_of(step, chosen.params))
        theirs = official_state(after[step.name], like)
        cut = cut_of(after[step.name])
        yield step.name, images_agree(*(_planes(s, cut) for s in (ours, theirs)))
    state = replace(official_state(made[-1][1], like), wavelength_um=wavelength)
    if on_spectra:
        for step in on_spectra:
            state = _run(step, state, step.select(known), params_of(step, chosen.params))
        with fits.open(inputs.official / f"{case.mode}_x1dints.fits") as hdus:
            official = tables(hdus)
        ours = {number: columns_of(state, number) for number in official}
        yield " + ".join(s.name for s in on_spectra), Spectral(ours, official).flux


def _planes(state: Rates, cut: Cut) -> dict[str, np.ndarray]:
    return {extension: np.asarray(getattr(state, name))[:, *cut.slices] for name, extension in PLANES.items()}


def end_to_end(case: Case, inputs: Inputs, exposure: Exposure, chosen: Recipe, refs: dict[str, Any]) -> dict[str, Any]:
    """Our products of the whole stage beside the official ones."""
    out = inputs.official / "ours"
    out.mkdir(exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    stage2(exposure, chosen, refs, out)
    ours, theirs = (d / f"{case.mode}_calints.fits" for d in (out, inputs.official))
    cut = cut_of(theirs)
    inner = cut_of(ours)
    with fits.open(ours) as a, fits.open(theirs) as b:
        y, x = (s.start - o for s, o in zip(cut.slices, (inner.y, inner.x), strict=True))
        window = slice(None), slice(y, y + cut.shape[0]), slice(x, x + cut.shape[1])
        planes = [
            {e: h[e].data[w] if e in h else np.zeros((NINTS, *cut.shape)) for e in PLANES.values()}
            for h, w in ((a, window), (b, slice(None)))
        ]
    result: dict[str, Any] = {"calints": images_agree(*planes)}
    ours, theirs = (d / f"{case.mode}_x1dints.fits" for d in (out, inputs.official))
    if theirs.is_file():
        with fits.open(ours) as a, fits.open(theirs) as b:
            result["spectra"] = Spectral(tables(a), tables(b))
    return result


def made_unlike(case: Case, folder: Path) -> list[str]:
    """Differences in what the products of a case that ran are made of."""
    official = folder_of(case, folder)
    words = []
    for kind in ("calints", "x1dints"):
        ours, theirs = (d / f"{case.mode}_{kind}.fits" for d in (official / "ours", official))
        words += unlike(ours, theirs) if theirs.is_file() else []
    return words


def folder_of(case: Case, folder: Path) -> Path:
    """Where the official products of a case lie."""
    return folder / case.name.replace(", ", "-").replace(" ", "-")


def share(within: int, compared: int) -> str:
    """How many of those compared agree."""
    return percent(within, compared) if compared else "none to compare"


def cell(a: Agreement) -> str:
    """One step of one case."""
    if not a.compared:
        return "none to compare"
    values = "=" if a.within == a.compared else f"{percent(a.within, a.compared)} (to {a.largest:.1e} ERR)"
    return values + (f", {a.flags} flags" if a.flags else "")


def row(result: dict[str, Any]) -> list[str]:
    """The end of the stage, in cells."""
    images = result["calints"]
    cells = [share(images.within, images.compared), f"{images.largest:.1e} ERR", str(images.flags or "same")]
    spectra = result.get("spectra")
    if spectra is None:
        return cells + [""] * 5
    shares = [f"{name}: {share(*counts)}" for name, counts in spectra.columns.items() if counts[1] and name != "FLUX"]
    lengths = ", ".join(f"{a}" if a == b else f"{a} (official {b})" for a, b in spectra.lengths)
    return [
        *cells,
        f"{spectra.wavelength:.1e}",
        share(spectra.flux.within, spectra.flux.compared) + f" (to {spectra.flux.largest:.1e} ERR)",
        ", ".join(shares).lower(),
        str(spectra.flux.flags or "same"),
        lengths,
    ]


def markdown(results: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The tables in Markdown."""
    heads = ("mode", "calints: agree", "largest difference", "flags", "x1dints: wavelength, relative", "flux: agree")
    heads += ("other columns: agree", "DO_NOT_USE", "points")
    whole = ["| " + " | ".join(heads) + " |"]
    whole.append("|---" * 9 + "|")
    whole += [f"| {name} | " + " | ".join(result["row"]) + " |" for name, result in results.items()]
    names = list(dict.fromkeys(step for result in results.values() for step in result["steps"]))
    each = ["| mode | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for name, result in results.items():
        each.append(f"| {name} | " + " | ".join(result["steps"].get(step, "") for step in names) + " |")
    shapes = [
        f"- {name}: " + ("the same" if not result["layout"] else "; ".join(result["layout"]))
        for name, result in results.items()
    ]
    return {"end to end": whole, "step by step": each, "layout": shapes}


def main() -> None:
    """Run the cases, keep their results in FOLDER/stage2.json, and write the tables into the page if one is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--case", action="append", help="only these, e.g. 'soss256, box'")
    parser.add_argument("--docs", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    kept = given.folder / "stage2.json"
    results = json.loads(kept.read_text()) if kept.is_file() else {}
    for case in [c for c in CASES if not given.case or c.name in given.case]:
        inputs = prepare(case, given.folder, given.peer)
        exposure = open_exposure([inputs.rateints])
        chosen = our_recipe(case, exposure)
        refs = references(inputs, exposure, chosen.stage2)
        result = end_to_end(case, inputs, exposure, chosen, refs)
        steps = {name: cell(a) for name, a in by_step(case, inputs, exposure, chosen, refs)}
        results[case.name] = {"row": row(result), "steps": steps, "layout": made_unlike(case, given.folder)}
        kept.write_text(json.dumps(results, indent=1))
        print(case.name, json.dumps(results[case.name], indent=1), flush=True)
    if given.docs:
        ran = {c.name: results[c.name] | {"layout": made_unlike(c, given.folder)} for c in CASES if c.name in results}
        write(given.docs, markdown(ran))


if __name__ == "__main__":
    main()
