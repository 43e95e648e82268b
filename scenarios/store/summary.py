"""Results of several seeds as one figure each: mean, standard error, extremes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from uptheramp.scenarios.identity import Code
from uptheramp.scenarios.store.rows import Case, Result
from uptheramp.validate.record import Record


@dataclass(frozen=True)
class Summary:
    """One metric of one case by one version of the code, over seeds (antitheses apart)."""

    case: Case
    code: Code
    metric: str
    version: int
    unit: str
    seeds: int
    mean: float
    standard_error: float | None  # None for one seed


def summaries(results: Iterable[Result], metrics: Sequence[str] = ()) -> list[Summary]:
    """Summarise results, in their order; only the named `metrics` where some are named."""
    found: dict[tuple[str, str, str, int], list[tuple[Result, Record]]] = {}
    for r in (r for r in results if not r.mirror):
        for record in r.records:
            if not metrics or record.name in metrics:
                found.setdefault((r.case.id, r.code.source, record.name, record.version), []).append((r, record))
    return [_summary(rows) for rows in found.values()]


def _summary(rows: Sequence[tuple[Result, Record]]) -> Summary:
    """One metric of one case by one version of the code."""
    result, record = rows[0]
    finite = np.array([r.value for _, r in rows if np.isfinite(r.value)])
    mean = float(finite.mean()) if len(finite) else float("nan")
    error = float(finite.std(ddof=1) / len(finite) ** 0.5) if len(finite) > 1 else None
    return Summary(result.case, result.code, record.name, record.version, record.unit, len(finite), mean, error)


def newest(results: Sequence[Result], codes: Sequence[Code]) -> list[Result]:
    """Of each case, the results by the newest code that answered it; `codes` from old to new."""
    age = {code.source: i for i, code in enumerate(codes)}
    last: dict[str, int] = {}
    for r in results:
        last[r.case.id] = max(last.get(r.case.id, -1), age[r.code.source])
    return [r for r in results if age[r.code.source] == last[r.case.id]]
