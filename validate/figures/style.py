"""One look for all figures: fonts, a colour-blind safe palette (Okabe and Ito), and export to bytes."""

from collections.abc import Callable
from functools import wraps
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

DATA, MODEL, TRUTH = "#0072B2", "#D55E00", "#1A1A1A"
GOOD, WARN, SOFT, ACCENT = "#009E73", "#E69F00", "#8A8F98", "#CC79A7"
SEQUENTIAL = "cividis"

RC: "dict[RcKeyType, Any]" = {
    "font.family": "DejaVu Sans",
    "font.size": 12.5,
    "axes.labelsize": 13.0,
    "axes.titlesize": 13.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#5A5F66",
    "axes.labelcolor": "#22262B",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E4E7EB",
    "grid.linewidth": 0.8,
    "xtick.color": "#5A5F66",
    "ytick.color": "#5A5F66",
    "xtick.labelcolor": "#22262B",
    "ytick.labelcolor": "#22262B",
    "legend.frameon": False,
    "legend.fontsize": 11.5,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "uptheramp",
    "path.simplify": True,
}

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run a drawing function under this style, whatever the user's own settings are."""

    @wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(RC)
            return draw(*args, **kwargs)

    return wrapped


def new_figure(width_in: float, height_in: float) -> Figure:
    """Make a figure of its own (no pyplot, no global state) that arranges its panels itself."""
    return Figure(figsize=(width_in, height_in), layout="constrained")


def to_svg(figure: Figure) -> str:
    """Write the figure as an SVG element, text drawn as outlines, the same bytes every time."""
    buffer = StringIO()
    with mpl.rc_context(RC):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def to_png(figure: Figure, dpi: float = 150.0) -> bytes:
    """Write the figure as PNG: for images, whose SVG would be large."""
    buffer = BytesIO()
    with mpl.rc_context(RC):
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
