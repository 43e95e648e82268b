"""The page of a fit of detector parameters: what was asked, what came out, how well the model describes the ramps."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

from uptheramp.calibrate.io.atomic import whole
from uptheramp.validate import report_parts as parts
from uptheramp.validate.report import style_sheet
from uptheramp.validate.report_figures import Picture
from uptheramp.validate.report_types import Rows


@dataclass(frozen=True, kw_only=True)
class FitReport:
    """`sections` are tables under their headings; `warnings` are what a reader must know before he trusts a number."""

    title: str
    summary: str
    command: str
    sections: tuple[tuple[str, Rows], ...]
    warnings: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()


def html(report: FitReport) -> str:
    """The page as text."""
    notes = "".join(f"<p class='note'>{escape(w)}</p>" for w in report.warnings)
    tables = "".join(parts.block(heading, parts.rows_table(rows)) for heading, rows in report.sections)
    figures = "".join(parts.figure(picture) for picture in report.pictures)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(report.title)}</title>'
        f"<style>{style_sheet()}</style></head><body><header><h1>{escape(report.title)}</h1>"
        f'<p class="summary">{escape(report.summary)}</p></header>'
        f'<main><article class="mode" style="display:block">{notes}{tables}{figures}</article></main>'
        f"<footer><h2>Do it again</h2><pre><code>{escape(report.command)}</code></pre></footer></body></html>"
    )


def write(path: Path, report: FitReport) -> None:
    """Write the page beside its final name and rename it."""
    with whole(path) as temporary:
        temporary.write_text(html(report), encoding="utf-8")
