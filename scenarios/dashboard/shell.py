"""The frame of a page, and the two files that all pages share: look and script."""

from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from uptheramp.calibrate.io.atomic import whole
from uptheramp.validate.report import style_sheet

SCRIPT, STYLE = "site.js", "site.css"


@dataclass(frozen=True)
class Page:
    """A page: its file, heading, one sentence that says what it shows, and the body as HTML."""

    file: str
    title: str
    lead: str
    body: str


def write_shared(out: Path) -> None:
    """Write the script (plotly and what draws the figures) and the style sheet beside the pages."""
    own = files("uptheramp.scenarios.dashboard")
    texts = {
        SCRIPT: get_plotlyjs() + "\n" + own.joinpath(SCRIPT).read_text(encoding="utf-8"),
        STYLE: style_sheet() + own.joinpath(STYLE).read_text(encoding="utf-8"),
    }
    for name, text in texts.items():
        with whole(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def write_page(out: Path, page: Page, links: dict[str, str]) -> Path:
    """Write a page; `links` are shown on top, name -> file."""
    template = Template(files("uptheramp.scenarios.dashboard").joinpath("page.html").read_text(encoding="utf-8"))
    here = ' aria-current="page"'
    nav = "".join(f'<a href="{escape(f)}"{here if f == page.file else ""}>{escape(n)}</a>' for n, f in links.items())
    text = template.substitute(
        title=escape(page.title), lead=escape(page.lead), nav=nav, body=page.body, script=SCRIPT, style=STYLE
    )
    with whole(out / page.file) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return out / page.file


def drawn(figure: go.Figure, heading: str, caption: str) -> str:
    """A figure as HTML: its data beside an empty place that the script fills."""
    data = str(figure.to_json()).replace("</", "<\\/")
    name = escape(heading, quote=True)
    return (
        f"<figure><h3>{escape(heading)}</h3><div class='plot' role='img' aria-label='{name}'></div>"
        f"<script type='application/json'>{data}</script><figcaption>{escape(caption)}</figcaption></figure>"
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table whose cells are HTML already; scrolls sideways where it is wider than the page."""
    top = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class='wide'><table class='grid'><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
