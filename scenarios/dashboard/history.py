"""Each figure over the versions of the code that answered the same question."""

from collections.abc import Sequence

import numpy as np

from uptheramp.scenarios.dashboard.shell import Page, drawn
from uptheramp.scenarios.dashboard.view import Setting, figure
from uptheramp.scenarios.store.rows import Result
from uptheramp.scenarios.store.store import Store, Wanted
from uptheramp.validate.figures.interactive.bands import Line, bands
from uptheramp.validate.measures import CHECKED
from uptheramp.validate.report_words import meaning

HISTORY = "history.html"


def history(store: Store, base: Sequence[Setting]) -> Page:
    """The page of history: a figure for each metric, a line for each mode."""
    uses = store.codes()
    names = _names([(use.code.commit or use.code.source) for use in uses])
    name_of = {use.code.source: name for use, name in zip(uses, names, strict=True)}
    by_case: dict[str, dict[str, list[Result]]] = {}
    for r in store.results(Wanted(cases=[s.case.id for s in base]), arrays=False):
        by_case.setdefault(r.case.id, {}).setdefault(r.code.source, []).append(r)
    parts = []
    for metric, sense in CHECKED.items():
        lines, unit = [], ""
        for s in base:
            found = {code: figure(rows, metric) for code, rows in by_case.get(s.case.id, {}).items()}
            kept = [(name_of[c], found[c]) for c in name_of if found.get(c) is not None]
            points = [(n, f) for n, f in kept if f is not None and np.isfinite(f.value)]
            if points:
                unit = points[0][1].unit
                values, errors = [f.value for _, f in points], [f.error for _, f in points]
                lines.append(Line(f"{s.case.mode} ({s.case.scenario})", [n for n, _ in points], values, errors))
        if lines:
            title, what = meaning(metric)
            drawing = bands(lines, "version of the code", unit or "ratio", ideal=sense.ideal)
            drawing.update_xaxes(categoryorder="array", categoryarray=names)
            parts.append(drawn(drawing, title, f"{what} Bands of one standard error over seeds."))
    lead = "The same questions, asked again of each version of the code."
    body = "".join(parts) or "<p class='note'>Nothing is answered yet.</p>"
    return Page(HISTORY, "History", lead, body)


def _names(commits: Sequence[str]) -> list[str]:
    """Names of versions along an axis; the same commit with other changes on top gets a number."""
    return [c if commits.count(c) == 1 else f"{c} ({commits[: i + 1].count(c)})" for i, c in enumerate(commits)]
