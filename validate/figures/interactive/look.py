"""One look for all interactive figures; colours of text and grid come from the page (site.js), which may be dark."""

import plotly.graph_objects as go

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A8F98")  # Okabe and Ito, grey


def empty(x_title: str, y_title: str) -> go.Figure:
    """A figure without data: axes, legend above, nothing painted behind."""
    axis = {"zeroline": False, "showline": True, "ticks": "outside", "automargin": True}
    return go.Figure(
        layout={
            "template": "none",
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 58, "r": 12, "t": 8, "b": 46},
            "height": 360,
            "hovermode": "closest",
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "font": {"family": "system-ui, sans-serif", "size": 13},
            "xaxis": {**axis, "title": {"text": x_title}},
            "yaxis": {**axis, "title": {"text": y_title}},
        }
    )


def faded(colour: str, opacity: float = 0.18) -> str:
    """`#rrggbb` as a transparent colour."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
