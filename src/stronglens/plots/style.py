"""The look that all curves share: colours that colour-blind readers can tell apart, few lines.

What is drawn is in `curves.py` and `maps.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
GREY = "0.45"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, "#E69F00", "#56B4E9")
"""Colours of Okabe & Ito (2008), which differ for all common kinds of colour vision."""

_SETTINGS: dict[Any, Any] = {
    "font.size": 10.0,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10.0,
    "axes.edgecolor": "0.35",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.7,
    "xtick.color": "0.35",
    "ytick.color": "0.35",
    "xtick.labelcolor": "0.1",
    "ytick.labelcolor": "0.1",
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.9,
    "savefig.dpi": 140,
    "figure.dpi": 140,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the common look inside the block, without touching the user's own settings."""
    with mpl.rc_context(_SETTINGS):
        yield


def panels(n: int, *, width: float = 4.6, height: float = 3.5) -> tuple[Figure, list[Axes]]:
    """Return a white figure with n panels side by side, each of that size [inch]."""
    figure = Figure(figsize=(n * width, height), dpi=140, layout="constrained", facecolor="white")
    return figure, [figure.add_subplot(1, n, i + 1) for i in range(n)]
