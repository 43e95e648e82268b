"""The first page: every mode against every statistic, with the limits of a perfect pipeline."""

from collections.abc import Iterable, Sequence
from html import escape

from uptheramp.scenarios.dashboard.check import Checked, in_words
from uptheramp.scenarios.dashboard.shell import Page, table
from uptheramp.scenarios.dashboard.sweep_page import COLUMNS, case_file, file_of, in_cell, verdict_pill
from uptheramp.scenarios.dashboard.view import Setting, SweepView
from uptheramp.validate.record import Record
from uptheramp.validate.report_parts import CLASS, limits
from uptheramp.validate.report_words import meaning, number

JUDGED = (
    "mean_bias",
    "mean_bias_equivalence",
    "slope_bias",
    "slope_bias_equivalence",
    "chi_square",
    "coverage_68",
    "coverage_95",
    "worst_bin",
    "mean_square_error",
)
INDEX = "index.html"
LEAD = "How well the truth that was put in came out again. All figures are of simulated visits whose truth is known."
KEY = "Green: inside what a perfect pipeline keeps; orange: outside; yellow: not decided. Below: what is allowed."


def base_settings(views: Iterable[SweepView]) -> list[Setting]:
    """The first setting of every sweep in every mode: what is not turned. Each case once."""
    found = {s.case.id: s for view in views for settings in view.modes.values() for s in settings[:1]}
    return sorted(found.values(), key=lambda s: (s.case.level != "spectrum", s.case.mode, s.case.scenario))


def overview(views: Sequence[SweepView], checked: Checked) -> Page:
    """The overview."""
    base = base_settings(views)
    parts = [_news(checked)]
    spectra = [s for s in base if s.case.level == "spectrum"]
    if spectra:
        head = ["mode", "seeds", "verdict", *(meaning(n)[0] for n in JUDGED)]
        parts += ["<h2>Planet spectra</h2>", table(head, [_spectrum(s) for s in spectra]), f"<p class='key'>{KEY}</p>"]
    rates = [s for s in base if s.case.level == "rate"]
    if rates:
        parts.append("<h2>Slopes, in units of the best that photons and reads allow</h2>")
        rows = [[_link(s), str(s.seeds), *(in_cell(s.figure(m)) for m in COLUMNS["rate"])] for s in rates]
        parts.append(table(["mode", "seeds", *(meaning(m)[0] for m in COLUMNS["rate"])], rows))
    parts.append("<h2>Sweeps</h2>")
    parts.append(table(["sweep", "what", "modes", "cases"], [_sweep(v) for v in views]))
    return Page(INDEX, "uptheramp", LEAD, "".join(parts))


def _news(checked: Checked) -> str:
    if checked.after is None or not checked.findings:
        return "<p class='note'>One version of the code so far: nothing to compare with.</p>"
    if not checked.flagged:
        return f"<p>Nothing got worse: {len(checked.findings)} figures compared with the version before.</p>"
    items = "".join(f"<p class='note'>{escape(in_words(f))}</p>" for f in checked.flagged)
    return f"<h2>Worse than before</h2>{items}"


def _link(s: Setting) -> str:
    what = f"{s.case.scenario}, {s.words}"
    return f'<a href="{case_file(s.case.id)}">{escape(s.case.mode)}</a> <small>{escape(what)}</small>'


def _spectrum(s: Setting) -> list[str]:
    records = {} if s.metrics is None else {r.name: r for r in s.metrics.records}
    return [_link(s), str(s.seeds), verdict_pill(s), *(_cell(records.get(name)) for name in JUDGED)]


def _cell(r: Record | None) -> str:
    if r is None:
        return ""
    value = f"{number(r.value, r.standard_error)} {r.unit}".replace("ppm^2", "ppm²").strip()
    allowed = f"<small>{escape(limits(r))}</small>"
    return f'<span class="cell {CLASS.get(r.verdict, "plain")}">{escape(value)}</span>{allowed}'


def _sweep(v: SweepView) -> list[str]:
    cases = sum(len(settings) for settings in v.modes.values())
    name = f'<a href="{file_of(v.sweep.name)}">{escape(v.sweep.name)}</a>'
    missing = f", {v.missing} not answered" if v.missing else ""
    return [name, escape(v.sweep.summary), escape(", ".join(v.modes)), f"{cases}{missing}"]
