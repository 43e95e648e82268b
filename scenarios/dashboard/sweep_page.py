"""The report of a sweep: truth error and scatter against each knob, and the table of verdicts."""

from collections.abc import Iterator, Sequence
from html import escape

from uptheramp.scenarios.dashboard.shell import Page, drawn, table
from uptheramp.scenarios.dashboard.view import Figure, Setting, SweepView
from uptheramp.validate.figures.interactive.bands import Line, bands
from uptheramp.validate.metrics.paired import NO_PREFERENCE
from uptheramp.validate.record import FAIL, NOT_DECIDED, PASS, REPORTED
from uptheramp.validate.report_parts import pill
from uptheramp.validate.report_words import meaning, number

# on one axis: the error against the truth, and what can be seen without a truth
SHOWN = {
    "spectrum": (("depth_rms", "error against the truth"), ("depth_error", "error bar that is claimed")),
    "rate": (("rate_rms_all", "error against the truth"), ("rate_noise_all", "scatter over integrations")),
}
AXIS = {"spectrum": "ppm, per bin and visit", "rate": "in units of the GLS bound"}
COLUMNS = {
    "spectrum": ("mean_bias", "slope_bias", "depth_rms", "pull_variance", "out_of_transit_rms", "mid_transit_time"),
    "rate": ("rate_bias_all", "rate_bias_bright", "rate_noise_all", "rate_rms_all", "rate_error", "rate_lost"),
}
MARKS = {"preferred": PASS, "worse": FAIL, NO_PREFERENCE: REPORTED}
KEY = (
    "Verdicts follow METRICS.md: pass where every statistic is inside the 99 % interval of a perfect pipeline and any "
    "bias is shown to be too small to matter; not decided where the seeds are too few to tell. A setting is preferred "
    "where its squared error against the truth, on the same noise as the first one's, is smaller by more than 3 "
    "standard errors; before it is adopted, that is to be confirmed on other seeds, star, depth and references."
)


def file_of(name: str) -> str:
    """The file of a sweep's page."""
    return f"sweep-{''.join(c if c.isalnum() else '-' for c in name.lower())}.html"


def case_file(case_id: str) -> str:
    """The file of a case's page."""
    return f"case-{case_id}.html"


def sweep_page(view: SweepView) -> Page:
    """The page of a sweep; its rows link to the pages of the cases."""
    body = "".join(_mode(view, mode, settings) for mode, settings in view.modes.items())
    if not view.modes:
        body = "<p class='note'>Nothing is answered yet.</p>"
    elif view.missing:
        body = f"<p class='note'>{view.missing} cases are not answered yet.</p>{body}"
    return Page(
        file_of(view.sweep.name), view.sweep.name, view.sweep.summary, f"{body}<p class='key'>{escape(KEY)}</p>"
    )


def _mode(view: SweepView, mode: str, settings: Sequence[Setting]) -> str:
    figures = "".join(_figures(view.level, mode, settings))
    return f"<section><h2>{escape(mode)}</h2>{figures}{_table(view.level, settings)}</section>"


def _figures(level: str, mode: str, settings: Sequence[Setting]) -> Iterator[str]:
    """One figure for each knob: against its numbers where it has numbers and is alone, else setting by setting."""
    knobs = {key: {repr(s.knobs.get(key)) for s in settings} for s in settings for key in s.knobs}
    varied = [key for key, seen in knobs.items() if len(seen) > 1]
    alone = len(varied) == 1 and all(_is_number(s.knobs[varied[0]]) for s in settings)
    order = sorted(settings, key=lambda s: s.knobs[varied[0]]) if alone else list(settings)
    x = [float(s.knobs[varied[0]]) for s in order] if alone else [s.words for s in order]
    lines = []
    for metric, name in SHOWN[level]:
        found = [(position, s.figure(metric)) for position, s in zip(x, order, strict=True)]
        kept = [(position, f) for position, f in found if f is not None]
        lines.append(Line(name, [p for p, _ in kept], [f.value for _, f in kept], [f.error for _, f in kept]))
    seeds = max(s.seeds for s in settings)
    title = varied[0] if alone else "setting"
    caption = f"Mean over {seeds} seeds, bands of one standard error. Quiet is not accurate: the lines may part."
    yield drawn(bands(lines, title, AXIS[level]), f"{mode}: error and scatter", caption)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _table(level: str, settings: Sequence[Setting]) -> str:
    head = ["setting", "seeds", "verdict", "squared error against the first", *(meaning(m)[0] for m in COLUMNS[level])]
    rows = [
        [
            f'<a href="{case_file(s.case.id)}">{escape(s.words)}</a>',
            str(s.seeds),
            verdict_pill(s),
            _preferred(s),
            *(in_cell(s.figure(m)) for m in COLUMNS[level]),
        ]
        for s in settings
    ]
    return table(head, rows)


def verdict_pill(s: Setting) -> str:
    """pass, fail or not decided; slopes have no verdict of their own."""
    if s.metrics is None:
        return pill(REPORTED if s.case.level == "rate" else NOT_DECIDED)
    return pill(s.metrics.verdict)


def _preferred(s: Setting) -> str:
    if s.difference is None:
        return ""
    d = s.difference
    change = number(d.value * 100, d.standard_error * 100)
    return f"{pill(MARKS[s.preference], s.preference)} {escape(change)} %"


def in_cell(f: Figure | None) -> str:
    """A figure with its error and unit."""
    return escape(in_plain(f))


def in_plain(f: Figure | None) -> str:
    """The same as plain text."""
    return "" if f is None else f"{number(f.value, f.error)} {f.unit}".strip()
