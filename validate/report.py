"""The static report: one HTML file that opens from disk, asks nothing of the network, and is pleasant to read."""

from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from uptheramp.calibrate.io.atomic import whole
from uptheramp.validate import report_parts as parts
from uptheramp.validate.report_figures import pictures
from uptheramp.validate.report_types import ModeReport, Report
from uptheramp.validate.report_words import SHORT, headline, mode_sentence, number


def _card(index: int, mode: ModeReport) -> str:
    """The tab of a mode: its name, verdict and two figures that matter most."""
    if mode.metrics is None:
        inside = ""
    else:
        found = {r.name: r for r in mode.metrics.records}
        shown = [(name, found[key]) for name, key in (("offset", "mean_bias"), ("χ²", "chi_square")) if key in found]
        facts = " · ".join(f"{name} {number(r.value, r.standard_error)} {r.unit}".strip() for name, r in shown)
        verdict = mode.metrics.verdict
        inside = f"{parts.pill(verdict, SHORT.get(verdict, verdict))}<small>{escape(facts)}</small>"
    return f'<label for="tab-{index}" class="tab"><strong>{escape(mode.title)}</strong>{inside}</label>'


def _mode(index: int, mode: ModeReport) -> str:
    wide, small = pictures(mode)
    notes = "".join(f"<p class='note'>{escape(w)}</p>" for w in mode.warnings)
    approximate = f"<p class='note'>Not as in flight: {escape(mode.approximate)}</p>" if mode.approximate else ""
    steps = " → ".join(f"<code>{escape(s)}</code>" for s in mode.steps)
    sentence = f"<p class='lead'>{escape(mode_sentence(mode.metrics))}</p>" if mode.metrics is not None else ""
    metrics = parts.metrics_table(mode.metrics.records) if mode.metrics is not None else ""
    pieces = [
        f'<article class="mode" id="mode-{index}"><h2>{escape(mode.title)}</h2>{sentence}{notes}',
        *(parts.figure(p) for p in wide[:2]),
        parts.block("In numbers", metrics),
        *(parts.figure(p) for p in wide[2:]),
        f'<div class="pair">{"".join(parts.figure(p) for p in small)}</div>' if small else "",
        '<div class="pair">',
        parts.block("What was observed", (parts.rows_table(mode.scenario) if mode.scenario else "") + approximate),
        parts.block("What the detector did to it", parts.rows_table(mode.effects) if mode.effects else ""),
        "</div>",
        parts.block("How it was reduced", f"<p class='steps'>{steps}</p>" if steps else ""),
        parts.block("Reference files", f"<p>{escape(mode.references)}</p>" if mode.references else ""),
        "</article>",
    ]
    return "".join(pieces)


def _switches(count: int) -> str:
    """Style rules by which the radio buttons show one mode and mark its tab: tabs without a script."""
    show = ",".join(f"#tab-{i}:checked~main #mode-{i}" for i in range(count))
    mark = ",".join(f'#tab-{i}:checked~header label[for="tab-{i}"]' for i in range(count))
    focus = ",".join(f'#tab-{i}:focus-visible~header label[for="tab-{i}"]' for i in range(count))
    return f"{show}{{display:block}}{mark}{{border-color:var(--accent);box-shadow:inset 0 -3px var(--accent)}}" + (
        f"{focus}{{outline:3px solid var(--accent)}}"
    )


def style_sheet() -> str:
    """The look of all pages: paper, cards, tables, pills; light and dark, wide and narrow."""
    return files("uptheramp.validate").joinpath("page.css").read_text(encoding="utf-8")


def html(report: Report) -> str:
    """The page as text."""
    verdict, sentence = headline(report)
    radios = "".join(
        f'<input type="radio" name="mode" class="switch" id="tab-{i}"{" checked" if i == 0 else ""} '
        f'aria-label="{escape(m.title)}">'
        for i, m in enumerate(report.modes)
    )
    template = Template(files("uptheramp.validate").joinpath("report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(report.title),
        style=style_sheet(),
        summary=escape(report.summary),
        verdict_class=parts.CLASS.get(verdict, "plain"),
        headline=escape(sentence),
        radios=radios,
        switches=_switches(len(report.modes)),
        cards="".join(_card(i, m) for i, m in enumerate(report.modes)),
        modes="".join(_mode(i, m) for i, m in enumerate(report.modes)),
        command=escape(report.command),
        footer=parts.rows_table(report.footer) if report.footer else "",
        created=escape(report.created),
    )


def write(path: Path, report: Report) -> None:
    """Write the page beside its final name and rename it."""
    with whole(path) as temporary:
        temporary.write_text(html(report), encoding="utf-8")
