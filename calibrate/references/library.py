"""A folder of reference files: which of them serve an exposure, and reading those.

Files are chosen by their headers. REFTYPE and INSTRUME must be right; every other selection keyword that a file gives
must match the exposure or match anything (GENERIC, N/A, ANY, ALL). Of several the most specific wins, then the name
that sorts last, which is the newest by the naming of CRDS.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from astropy.io import fits

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.meta import ExposureMeta

ANYTHING = frozenset(("", "GENERIC", "N/A", "ANY", "ALL", "NONE"))
# keyword -> field of the exposure; P_ keywords list alternatives, as CRDS writes them
SELECTION = {
    "INSTRUME": "instrument",
    "DETECTOR": "detector",
    "SUBARRAY": "subarray",
    "READPATT": "pattern",
    "EXP_TYPE": "exp_type",
    "FILTER": "filter",
    "PUPIL": "pupil",
    "GRATING": "grating",
    "CHANNEL": "channel",
    "MODULE": "module",
}
ALTERNATIVES = {
    "DETECTOR": "P_DETECT",
    "SUBARRAY": "P_SUBARR",
    "READPATT": "P_READPA",
    "EXP_TYPE": "P_EXP_TY",
    "FILTER": "P_FILTER",
    "PUPIL": "P_PUPIL",
    "GRATING": "P_GRATIN",
    "CHANNEL": "P_CHANNE",
    "MODULE": "P_MODULE",
}
# where asdf and json files keep the same, below `meta` or at the top
TREE = {
    "REFTYPE": ("reftype",),
    "INSTRUME": ("instrument", "name"),
    "DETECTOR": ("instrument", "detector"),
    "SUBARRAY": ("subarray", "name"),
    "READPATT": ("exposure", "readpatt"),
    "EXP_TYPE": ("exposure", "type"),
    "FILTER": ("instrument", "filter"),
    "PUPIL": ("instrument", "pupil"),
    "GRATING": ("instrument", "grating"),
    "CHANNEL": ("instrument", "channel"),
    "MODULE": ("instrument", "module"),
    "P_DETECT": ("instrument", "p_detector"),
    "P_SUBARR": ("subarray", "p_subarray"),
    "P_READPA": ("exposure", "p_readpatt"),
    "P_EXP_TY": ("exposure", "p_exptype"),
    "P_FILTER": ("instrument", "p_filter"),
    "P_PUPIL": ("instrument", "p_pupil"),
    "P_GRATIN": ("instrument", "p_grating"),
    "P_CHANNE": ("instrument", "p_channel"),
    "P_MODULE": ("instrument", "p_module"),
}


def find(directory: Path, meta: ExposureMeta, reftypes: Iterable[str]) -> dict[str, Path]:
    """REFTYPE (lower case) -> file, for those of `reftypes` that the folder and its subfolders hold for the exposure.

    Raises
    ------
    InputError
        If the folder does not exist or holds no reference file for the exposure at all.
    """
    directory, wanted = Path(directory), set(reftypes)
    if not directory.is_dir():
        raise InputError(f"{directory}: no such folder of reference files")
    best: dict[str, tuple[tuple[int, str, str], Path]] = {}
    for path in sorted(p for p in directory.rglob("*") if p.suffix in READERS and p.is_file()):
        header = READERS[path.suffix](path)
        reftype = str(header.get("REFTYPE") or "").strip().lower()
        score = match(header, meta) if reftype in wanted else None
        if score is None:
            continue
        rank = (score, path.name, str(path))
        if reftype not in best or rank > best[reftype][0]:
            best[reftype] = (rank, path)
    if wanted and not best:
        raise InputError(
            f"{directory}: no reference file in it or its subfolders serves {meta.instrument} {meta.detector} "
            f"{meta.subarray} {meta.exp_type} (wanted: {', '.join(sorted(wanted))})"
        )
    return {reftype: path for reftype, (_, path) in sorted(best.items())}


def wanted(classes: Mapping[str, type], meta: ExposureMeta) -> tuple[str, ...]:
    """Every REFTYPE to look for: those of the classes, and the parts of which some of them are made."""
    return tuple(dict.fromkeys([*classes, *(part for cls in classes.values() for part in parts(cls, meta))]))


def parts(cls: type, meta: ExposureMeta) -> tuple[str, ...]:
    """REFTYPEs of the files from which a class makes its reference for an exposure, if it does (`from_parts`).

    A class that names its own type among them is made of all where all are there; another only where there is no file
    of its own type.
    """
    return cls.parts(meta) if hasattr(cls, "parts") else ()


def needed(cls: type, meta: ExposureMeta) -> bool:
    """Whether a class says that an exposure cannot do without its reference, which is optional to others."""
    return hasattr(cls, "needed") and cls.needed(meta)


def lacking(reftype: str, cls: type, meta: ExposureMeta, paths: Mapping[str, Path]) -> str:
    """Which of the files for a reference are not there, in words; "" if it can be had."""
    of = parts(cls, meta)
    absent = [part for part in of if part not in paths]
    if reftype in paths or (of and not absent):
        return ""
    return f"{reftype} or {' and '.join(absent)}" if absent and reftype not in of else reftype


def load(paths: Mapping[str, Path], meta: ExposureMeta, classes: Mapping[str, type]) -> dict[str, Any]:
    """Read the files found, each by the `from_file` of its class, or by `from_parts` where it is made of several."""
    library = {}
    for reftype, cls in classes.items():
        of = parts(cls, meta)
        own = reftype in paths and reftype not in of
        if of and not own and set(of) <= set(paths):
            library[reftype] = cls.from_parts({part: paths[part] for part in of}, meta)
        elif reftype in paths:
            library[reftype] = cls.from_file(paths[reftype], meta)
    return library


def match(header: Mapping[str, Any], meta: ExposureMeta) -> int | None:
    """How many selection keywords of a header name the exposure; None if one contradicts it."""
    if _text(header, "INSTRUME") != meta.instrument.upper():
        return None
    score = 0
    for keyword, field in SELECTION.items():
        mine = str(getattr(meta, field)).upper()
        listed = _text(header, ALTERNATIVES.get(keyword, keyword)) or _text(header, keyword)
        choices = {c.strip() for c in listed.split("|")} - {""}
        if not choices or choices & ANYTHING:
            continue
        if mine not in choices:
            return None
        score += 1
    return score


def _text(header: Mapping[str, Any], keyword: str) -> str:
    return str(header.get(keyword) or "").strip().upper()


def _fits_header(path: Path) -> Mapping[str, Any]:
    try:
        return fits.getheader(path, 0)
    except OSError as error:
        raise InputError(f"{path}: not a readable FITS file ({error}); remove it or replace it") from None


def _tree_header(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Selection keywords from a tree that keeps them in `meta` or at the top."""
    found = {}
    for keyword, route in TREE.items():
        for node in (tree.get("meta"), tree):
            for name in route:
                node = node.get(name) if isinstance(node, Mapping) else None
            if isinstance(node, str):
                found.setdefault(keyword, node)
    return found


def _asdf_header(path: Path) -> dict[str, Any]:
    import asdf

    try:
        with asdf.open(path, lazy_load=True, memmap=False) as file:
            return _tree_header(file.tree)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable ASDF file ({error}); remove it or replace it") from None


def _json_header(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text())
    except ValueError:
        return {}  # folders may hold other JSON
    if not isinstance(tree, dict):
        return {}
    header = _tree_header(tree)
    if isinstance(tree.get("instrument"), str):
        header.setdefault("INSTRUME", tree["instrument"])
    return header


READERS = {".fits": _fits_header, ".asdf": _asdf_header, ".json": _json_header}
