"""Did anything get worse? The newest version of the code against an earlier one, figure by figure."""

from collections.abc import Sequence
from dataclasses import dataclass

from uptheramp.calibrate.errors import InputError
from uptheramp.scenarios.dashboard.view import by_seed
from uptheramp.scenarios.identity import Code
from uptheramp.scenarios.store.rows import Case, Result
from uptheramp.scenarios.store.store import Store, Wanted
from uptheramp.validate.measures import CHECKED
from uptheramp.validate.metrics.intervals import family_alpha
from uptheramp.validate.metrics.regression import FLAGGED, Move, Sample, move


@dataclass(frozen=True)
class Finding:
    """What one figure of one case did between two versions."""

    case: Case
    metric: str
    unit: str
    before: Code
    move: Move
    relative: bool

    @property
    def flagged(self) -> bool:
        """Whether it got worse, or moved and may have."""
        return self.move.verdict in FLAGGED


@dataclass(frozen=True)
class Checked:
    """All figures that could be compared, and the newest version."""

    after: Code | None
    findings: tuple[Finding, ...]

    @property
    def flagged(self) -> list[Finding]:
        """Those that got worse."""
        return [f for f in self.findings if f.flagged]


def check(store: Store, against: str | None = None) -> Checked:
    """Compare the newest version with the one before it that answered the same case (or with `against`).

    The chance that unchanged code raises any alarm at all is 1 %, shared among all figures that are compared.

    Raises
    ------
    InputError
        If `against` names no version of the store.
    """
    codes = [use.code for use in store.codes()]
    if not codes:
        return Checked(None, ())
    earlier, after = codes[:-1], codes[-1]
    if against is not None:
        earlier = [c for c in earlier if c.source.startswith(against) or c.commit.startswith(against)][-1:]
        if not earlier:
            raise InputError(f"{store.where}: no earlier version of the code named {against}; see `uptheramp results`")
    by_case: dict[str, dict[str, list[Result]]] = {}
    for r in store.results(Wanted(), arrays=False):
        by_case.setdefault(r.case.id, {}).setdefault(r.code.source, []).append(r)
    pairs = []
    for versions in by_case.values():
        before = next((c for c in reversed(earlier) if c.source in versions), None)
        if before is not None and after.source in versions:
            pairs.append((before, versions[before.source], versions[after.source]))
    todo = [(*pair, metric) for pair in pairs for metric in CHECKED if _comparable(pair[1], pair[2], metric)]
    alpha = family_alpha(max(1, len(todo)))
    findings = [_finding(before, a, b, metric, alpha) for before, a, b, metric in todo]
    return Checked(after, tuple(f for f in findings if f is not None))


def _comparable(a: Sequence[Result], b: Sequence[Result], metric: str) -> bool:
    return min(len(by_seed(a, metric)), len(by_seed(b, metric))) > 1 and _version(a, metric) == _version(b, metric)


def _version(results: Sequence[Result], metric: str) -> int:
    """Of the metric's definition: other definitions do not compare."""
    return max(rec.version for r in results for rec in r.records if rec.name == metric)


def _sample(results: Sequence[Result], metric: str) -> Sample:
    return Sample(by_seed(results, metric), by_seed(results, metric, mirror=True))


def _finding(before: Code, a: Sequence[Result], b: Sequence[Result], metric: str, alpha: float) -> Finding | None:
    result = move(_sample(a, metric), _sample(b, metric), CHECKED[metric], alpha)
    if result is None:
        return None
    unit = next(rec.unit for r in b for rec in r.records if rec.name == metric)
    return Finding(b[0].case, metric, unit, before, result, CHECKED[metric].relative)


def in_words(f: Finding) -> str:
    """One line on what a figure did."""
    d, m = f.move.difference, f.move
    scale, unit = (100.0, "%") if f.relative else (1.0, f.unit)
    seeds = f"{d.seeds} {'paired' if d.paired else 'independent'} seeds"
    return (
        f"{f.case.mode} ({f.case.scenario}, {f.case.level}) {f.metric}: {m.verdict} by {d.value * scale:.3g} ± "
        f"{d.standard_error * scale:.2g} {unit} since {f.before.commit or f.before.source} ({seeds}; "
        f"{m.detectable * scale:.2g} {unit} would be caught in 9 of 10 cases)"
    )
