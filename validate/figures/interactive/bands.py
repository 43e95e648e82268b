"""Lines with bands of their standard error against anything: a knob, a version of the code."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from uptheramp.validate.figures.interactive.look import COLOURS, empty, faded


@dataclass(frozen=True)
class Line:
    """A line: numbers or names along x, values, standard errors (None where there is none)."""

    name: str
    x: Sequence[float] | Sequence[str]
    y: Sequence[float]
    error: Sequence[float | None]


def bands(lines: Sequence[Line], x_title: str, y_title: str, *, ideal: float | None = None) -> go.Figure:
    """Draw each line with a band of one standard error on either side; numbers along x are drawn to scale.

    `ideal` is a dotted line at the value of a perfect pipeline.
    """
    figure = empty(x_title, y_title)
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        half = [0.0 if e is None else e for e in line.error]
        outline = [v + h for v, h in zip(line.y, half, strict=True)], [v - h for v, h in zip(line.y, half, strict=True)]
        x = list(line.x)
        figure.add_scatter(
            x=x + x[::-1],
            y=outline[0] + outline[1][::-1],
            fill="toself",
            fillcolor=faded(colour),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
        )
        figure.add_scatter(
            x=x,
            y=list(line.y),
            error_y={"type": "data", "array": half, "thickness": 1.2, "width": 3},
            mode="lines+markers",
            name=escape(line.name),  # plotly reads names as HTML
            line={"color": colour, "width": 2},
            marker={"size": 7},
        )
    if ideal is not None:
        figure.add_hline(y=ideal, line={"dash": "dot", "width": 1.2, "color": "#8A8F98"})
    if any(isinstance(value, str) for line in lines for value in line.x):
        figure.update_xaxes(type="category")
    return figure
