"""Completeness over two properties of lenses, as colours and contours, with the lenses' cells.

The numbers come from `stronglens.evaluation.selection`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from stronglens.plots.style import house_style, panels


@dataclass(frozen=True)
class CompletenessMap:
    """Completeness on a grid of two properties."""

    x: Float[np.ndarray, "column"]
    """Values along the first axis, rising."""
    y: Float[np.ndarray, "row"]
    """Values along the second axis, rising."""
    value: Float[np.ndarray, "row column"]
    """Completeness."""
    half_width: Float[np.ndarray, "row column"]
    """Half the width of its 95 % interval."""
    x_label: str
    """What the first axis is."""
    y_label: str
    """What the second axis is."""
    is_log: tuple[bool, bool]
    """Whether the axes are logarithmic."""


def selection_figure(
    drawn: CompletenessMap, lenses: Float[np.ndarray, "2 lens"], *, title: str = ""
) -> Figure:
    """Completeness and its uncertainty side by side; dots are the lenses it rests on.

    Args:
        drawn: The surface on a grid.
        lenses: Properties of lenses it was fitted to.
        title: Set above.

    Returns:
        The figure.
    """
    with house_style():
        figure, (left, right) = panels(2, width=5.0, height=4.0)
        _panel(figure, left, drawn, drawn.value, "Completeness")
        contours = left.contour(
            drawn.x, drawn.y, drawn.value, [0.1, 0.5, 0.9, 0.99], colors="white", linewidths=1.1
        )
        left.clabel(contours, fmt=lambda level: f"{100 * level:g} %", fontsize=8)
        _panel(figure, right, drawn, drawn.half_width, "Half width of its 95 % interval")
        inside = (lenses[0] >= drawn.x[0]) & (lenses[0] <= drawn.x[-1])
        inside &= (lenses[1] >= drawn.y[0]) & (lenses[1] <= drawn.y[-1])
        shown = lenses[:, inside][:, :1500]
        right.plot(shown[0], shown[1], ".", color="white", markersize=1.5, alpha=0.6)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _panel(
    figure: Figure,
    axis: Axes,
    drawn: CompletenessMap,
    values: Float[np.ndarray, "row column"],
    title: str,
) -> None:
    is_share = values is drawn.value
    top = 1.0 if is_share else max(float(values.max()), 1e-3)
    image = axis.pcolormesh(
        drawn.x, drawn.y, values, vmin=0.0, vmax=top, cmap="viridis", shading="gouraud"
    )
    figure.colorbar(image, ax=axis, fraction=0.05, pad=0.02)
    axis.set(xlabel=drawn.x_label, ylabel=drawn.y_label, title=title)
    axis.set_xscale("log" if drawn.is_log[0] else "linear")
    axis.set_yscale("log" if drawn.is_log[1] else "linear")
    for axes, is_log in zip((axis.xaxis, axis.yaxis), drawn.is_log, strict=True):
        if is_log:
            axes.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.set_minor_formatter(FuncFormatter(_minor_label))
    axis.grid(visible=False)


def _minor_label(value: float, _position: int | None = None) -> str:
    """Label of a minor tick: only at twice and five times a power of ten."""
    digit = round(value / 10 ** np.floor(np.log10(value)))
    return f"{value:g}" if digit in (2, 5) else ""
