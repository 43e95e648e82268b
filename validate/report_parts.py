"""Pieces of the page: tables, gauges, pills. All text is escaped here."""

from html import escape

from uptheramp.validate.record import FAIL, NOT_DECIDED, PASS, Record
from uptheramp.validate.report_figures import Picture
from uptheramp.validate.report_types import Rows
from uptheramp.validate.report_words import MARK, meaning, number

CLASS = {PASS: "pass", FAIL: "fail", NOT_DECIDED: "open"}
REACH = 1.6  # a gauge shows this many times the half width of the allowed band


def pill(verdict: str, text: str = "") -> str:
    """A coloured label with a sign, so that colour is never the only carrier."""
    kind = CLASS.get(verdict, "plain")
    return (
        f'<span class="pill {kind}"><b aria-hidden="true">{MARK.get(verdict, "·")}</b> {escape(text or verdict)}</span>'
    )


def gauge(record: Record) -> str:
    """A bar with the band that a perfect pipeline keeps and the value in it; nothing where there is no limit."""
    low, high = record.limit_low, record.limit_high
    if high is None:
        return ""
    start = 0.0 if low is None else low
    half = (high - start) / 2.0
    if not half > 0.0:
        return ""
    left, span = ((start + half) - REACH * half, 2.0 * REACH * half) if low is not None else (0.0, high * REACH)
    at = min(max((record.value - left) / span, 0.0), 1.0) * 100.0
    band, width = (start - left) / span * 100.0, 2.0 * half / span * 100.0
    kind = CLASS.get(record.verdict, "plain")
    return (
        f'<span class="gauge" aria-hidden="true"><i style="left:{band:.1f}%;width:{width:.1f}%"></i>'
        f'<u class="{kind}" style="left:{at:.1f}%"></u></span>'
    )


def limits(record: Record) -> str:
    """The allowed interval in words."""
    low, high = record.limit_low, record.limit_high
    if low is None and high is None:
        return ""
    if low is None:
        return f"at most {number(high)}"
    return f"{number(low)} … {number(high)}"


def _row(record: Record) -> str:
    title, what = meaning(record.name)
    value = f"{number(record.value, record.standard_error)} {record.unit}".replace("ppm^2", "ppm²").strip()
    return (
        f'<tr><th scope="row">{escape(title)}<small>{escape(what)}</small>'
        f"<details><summary>definition</summary><small><code>{escape(record.name)}</code> v{record.version}: "
        f"{escape(record.definition)}</small></details></th>"
        f'<td class="num" data-label="value">{escape(value)}</td>'
        f'<td class="num" data-label="allowed">{escape(limits(record))}{gauge(record)}</td>'
        f"<td>{pill(record.verdict)}</td></tr>"
    )


def metrics_table(records: tuple[Record, ...]) -> str:
    """The table of metrics: value and error, what a perfect pipeline keeps, verdict."""
    head = "<tr><th>Measure</th><th>Value</th><th>A perfect pipeline keeps</th><th>Verdict</th></tr>"
    return f'<table class="metrics"><thead>{head}</thead><tbody>{"".join(map(_row, records))}</tbody></table>'


def rows_table(rows: Rows) -> str:
    """A two-column table of labels and values."""
    body = "".join(f'<tr><th scope="row">{escape(a)}</th><td>{escape(b)}</td></tr>' for a, b in rows)
    return f'<table class="rows"><tbody>{body}</tbody></table>'


def figure(picture: Picture) -> str:
    """An embedded image under its heading, with its caption."""
    return (
        f'<figure><h3>{escape(picture.heading)}</h3><img src="{picture.source}" alt="{escape(picture.heading)}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def block(title: str, body: str) -> str:
    """A card with a heading; nothing where there is nothing to show."""
    return f'<section class="card"><h3>{escape(title)}</h3>{body}</section>' if body else ""
