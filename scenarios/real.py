"""Reducing files: the exposure of a user, whoever made it, through the stages asked for."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from uptheramp.calibrate.errors import InputError
from uptheramp.calibrate.io.exposure import LEVELS, Exposure, open_exposure
from uptheramp.calibrate.reduce import Progress, load_library, stage1, stage2, stage3
from uptheramp.calibrate.settings import recipe

STAGES = {1: stage1, 2: stage2, 3: stage3}
TWO_POINT_LIMIT = 100  # integrations from which the official jump step clips across integrations instead


def calibrate_files(
    files: Sequence[Path],
    out: Path,
    refs: Path | None,
    stages: Sequence[int],
    table: str,
    system: Path | None,
    overrides: Mapping[str, str],
    progress: Progress,
) -> list[Path]:
    """Reduce one exposure; returns the products written.

    Raises
    ------
    InputError
        For everything that is wrong with the input, before anything is written.
    """
    if refs is not None and not refs.is_dir():
        raise InputError(f"{refs}: no such folder; --refs takes a folder of CRDS-format reference files")
    exposure = open_exposure(files)
    meta = exposure.meta
    entry = LEVELS[exposure.level]
    todo = [stage for stage in stages if stage >= entry and exposure.level != "x1dints"]
    if not todo and system is None:
        raise InputError(
            f"{files[0]}: a {exposure.level} file enters at Stage {entry}, and --stages asks only for "
            f"{','.join(map(str, stages))}; nothing to do"
        )
    chosen = recipe(table, exposure.instrument.step_family, meta.exp_type, overrides, todo)
    _warn(exposure, table, todo)
    steps = tuple(step for stage in todo for step in (chosen.stage1, chosen.stage2, chosen.stage3)[stage - 1])
    library = load_library(exposure, steps, refs)
    if 3 in todo and exposure.nints < 2:
        raise InputError(f"{files[0]}: one integration is no time series; run it with --stages 1,2")
    products = []
    for stage in todo:
        product = STAGES[stage](exposure, chosen, library, out, progress)
        products.append(product.path)
        exposure = open_exposure([product.path])
    return products


def _warn(exposure: Exposure, table: str, stages: Sequence[int]) -> None:
    """Say what is legal but unusual."""
    meta, path = exposure.meta, exposure.segments[0].path
    if 1 in stages and meta.ngroups <= 2:
        warnings.warn(f"{path}: {meta.ngroups} groups: the jump step cannot run", stacklevel=2)
    if 1 in stages and table != "recommended" and exposure.nints >= TWO_POINT_LIMIT:
        warnings.warn(
            f"{path}: from {TWO_POINT_LIMIT} integrations on the official jump step clips across integrations; "
            "here the two-point test runs",
            stacklevel=2,
        )
