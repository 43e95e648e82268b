"""From the store to the judge: the seeds of a case as an ensemble, and what METRICS.md says of it."""

from collections.abc import Sequence

import numpy as np

from uptheramp.scenarios.store.rows import Result
from uptheramp.validate.ensemble import Ensemble, usable_bins
from uptheramp.validate.metrics_file import ModeMetrics, summarise_ensemble
from uptheramp.validate.record import Record

LIGHT_CURVE = (
    "scatter_ratio_pr",
    "scatter_ratio_all",
    "beta_quarter",
    "mid_transit_time",
    "mid_transit_time_algorithmic",
)


def ensemble(name: str, results: Sequence[Result]) -> Ensemble | None:
    """The seeds of one case by one version of the code, with their antitheses; None for fewer than two seeds.

    The noise-free twin is the mean over the seeds that have one; the error of the ERS-size visit comes with the first
    seed that knows its 1/f noise.
    """
    seeds = sorted((r for r in results if not r.mirror), key=lambda r: r.seed)
    mirrors = {r.seed: r for r in results if r.mirror}
    if len(seeds) < 2:
        return None
    paired = [r for r in seeds if r.seed in mirrors]
    seeds = paired + [r for r in seeds if r.seed not in mirrors]  # partners are those of the first seeds

    def stack(of: Sequence[Result], array: str) -> np.ndarray:
        return np.stack([r.arrays[array] for r in of])

    twins = [r for r in seeds if "twin" in r.arrays]
    known = [float(r.arrays["ers_sigma_ppm"]) for r in seeds if "ers_sigma_ppm" in r.arrays]
    return Ensemble(
        mode=name,
        wavelength_um=seeds[0].arrays["wavelength_um"],
        depth=stack(seeds, "depth"),
        covariance=stack(seeds, "covariance"),
        truth=stack(seeds, "truth"),
        twin=stack(twins, "twin").mean(0)[None] if twins else None,
        residuals=int(stack(seeds, "residuals").min()),
        ers_sigma_ppm=known[0] if known else None,
        partner=stack([mirrors[r.seed] for r in paired], "depth") if paired else None,
    )


def judged(name: str, results: Sequence[Result], modes: int) -> ModeMetrics | None:
    """The verdict on one of `modes` cases that are judged together.

    None where there is nothing to judge: fewer than two seeds, or no bin that is finite in all of them.
    """
    x = ensemble(name, results)
    if x is None or not usable_bins(x).any():
        return None
    return summarise_ensemble(x, mean_records(results), modes=modes)


def mean_records(results: Sequence[Result]) -> tuple[Record, ...]:
    """Figures of the light curve as means over seeds, reported."""
    found = (_mean([r for x in results if not x.mirror for r in x.records if r.name == name]) for name in LIGHT_CURVE)
    return tuple(record for record in found if record is not None)


def _mean(records: Sequence[Record]) -> Record | None:
    values = np.array([r.value for r in records if np.isfinite(r.value)])
    if not len(values):
        return None
    return Record(
        name=records[0].name,
        value=float(values.mean()),
        unit=records[0].unit,
        definition=f"Mean over {len(values)} seeds. {records[0].definition}",
        standard_error=float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None,
    )
