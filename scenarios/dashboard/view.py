"""What pages show, as plain records: sweeps with their settings, judged and compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uptheramp.scenarios.ensembles import judged
from uptheramp.scenarios.identity import Code
from uptheramp.scenarios.look import knobs_in_words
from uptheramp.scenarios.store.rows import Case, Result, StoredSweep
from uptheramp.scenarios.store.store import Store, Wanted
from uptheramp.scenarios.store.summary import newest
from uptheramp.validate.measures import LOSS
from uptheramp.validate.metrics.paired import NO_PREFERENCE, Difference, paired, preference
from uptheramp.validate.metrics_file import ModeMetrics


@dataclass(frozen=True)
class Figure:
    """Mean of a metric over seeds, its standard error (None for one seed), unit."""

    value: float
    error: float | None
    unit: str


@dataclass(frozen=True)
class Setting:
    """A case of a sweep as answered by the newest code that did."""

    case: Case
    point: int
    knobs: dict[str, Any]
    code: Code
    results: tuple[Result, ...]
    metrics: ModeMetrics | None  # None where too few seeds, or no spectrum
    preference: str = ""  # against the first setting of the mode: "preferred", "worse", "no preference"
    difference: Difference | None = None  # of squared errors, this minus the first, over the first's mean

    @property
    def words(self) -> str:
        """The setting as a person would say it."""
        return knobs_in_words(self.knobs)

    @property
    def seeds(self) -> int:
        """Seeds without their antitheses."""
        return sum(not r.mirror for r in self.results)

    def values(self, metric: str) -> dict[int, float]:
        """A metric by seed, antitheses apart, where it is finite."""
        return by_seed(self.results, metric)

    def figure(self, metric: str) -> Figure | None:
        """A metric over seeds, None where there is none."""
        return figure(self.results, metric)


@dataclass(frozen=True)
class SweepView:
    """A sweep with its settings by mode, and how many cases are not answered."""

    sweep: StoredSweep
    modes: dict[str, tuple[Setting, ...]]
    missing: int

    @property
    def level(self) -> str:
        """Spectrum or rate."""
        return str(self.sweep.definition.get("level", "spectrum"))


def by_seed(results: Sequence[Result], metric: str, *, mirror: bool = False) -> dict[int, float]:
    """A metric by seed, where it is finite; of the antitheses with `mirror`."""
    found = {r.seed: r.value(metric) for r in results if r.mirror == mirror}
    return {seed: v for seed, v in found.items() if v is not None and np.isfinite(v)}


def figure(results: Sequence[Result], metric: str) -> Figure | None:
    """A metric over seeds, None where there is none."""
    values = np.array(list(by_seed(results, metric).values()))
    if not len(values):
        return None
    unit = next(rec.unit for r in results for rec in r.records if rec.name == metric)
    error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
    return Figure(float(values.mean()), error, unit)


def sweep_view(store: Store, sweep: StoredSweep) -> SweepView:
    """Read and judge a sweep."""
    ids = [m.case for m in sweep.members]
    found = newest(store.results(Wanted(cases=ids)), [use.code for use in store.codes()])
    grouped: dict[str, list[Result]] = {}
    for r in found:
        grouped.setdefault(r.case.id, []).append(r)
    modes: dict[str, list[Setting]] = {}
    for m in sweep.members:
        results = tuple(grouped.get(m.case, ()))
        if not results:
            continue
        first, metrics = results[0], None
        if first.case.level == "spectrum":
            metrics = judged(first.case.mode, results, len(ids))
        setting = Setting(first.case, m.point, m.knobs, first.code, results, metrics)
        modes.setdefault(m.mode, []).append(setting)
    compared = {mode: tuple(compare(s, settings[0]) for s in settings) for mode, settings in modes.items()}
    return SweepView(sweep, compared, len(ids) - len(grouped))


def compare(setting: Setting, first: Setting) -> Setting:
    """The setting with its squared error against the truth compared with the first one's, on paired seeds."""
    if setting is first:
        return setting
    loss = LOSS[setting.case.level]
    a, b = first.values(loss), setting.values(loss)
    common = sorted(a.keys() & b.keys())
    if len(common) < 2:
        return setting
    before, after = (np.array([x[s] ** 2 for s in common]) for x in (a, b))
    d = paired(before / before.mean(), after / before.mean())
    words = {"A": "worse", "B": "preferred", NO_PREFERENCE: NO_PREFERENCE}[preference(d)]
    return Setting(**{**vars(setting), "preference": words, "difference": d})
