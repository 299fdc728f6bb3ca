"""Posteriors of several parameters: their histograms, and contours of every pair.

Arrays in, figure out.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

from stronglens.core.errors import WrongShapeError
from stronglens.plots.style import BLUE, ORANGE, house_style

_SIDE, _BINS, _SMOOTHING = 1.35, 36, 1.2
_LEVELS = (0.68, 0.95)


def corner(
    draws: Mapping[str, Float[np.ndarray, " n"]],
    *,
    behind: Mapping[str, Float[np.ndarray, " m"]] | None = None,
    truth: Mapping[str, float] | None = None,
    title: str = "",
) -> Figure:
    """Histograms on the diagonal, contours of 68 and 95 % below it.

    Args:
        draws: Draws of equal weight by axis label; columns without scatter are left out.
        behind: Other draws under some of the same labels, drawn in orange.
        truth: True values under some of the labels.
        title: Set above.

    Returns:
        The figure.

    Raises:
        WrongShapeError: No column varies.
    """
    labels = [name for name, column in draws.items() if np.ptp(column) > 0]
    if not labels:
        raise WrongShapeError("no column of the draws varies. Pass draws of at least one.")
    n = len(labels)
    behind, truth = behind or {}, truth or {}
    with house_style():
        side = _SIDE * n + 0.9
        figure = Figure(figsize=(side, side), dpi=140, facecolor="white", layout="constrained")
        axes = figure.subplots(n, n, squeeze=False)
        limits = {name: _limits(draws[name], truth.get(name)) for name in labels}
        for i, row in enumerate(labels):
            for j, column in enumerate(labels):
                if j > i:
                    axes[i, j].set_axis_off()
                    continue
                _frame(axes[i, j], limits[column], None if i == j else limits[row])
                for source, colour in ((behind, ORANGE), (draws, BLUE)):
                    if column in source and row in source:
                        _draw(axes[i, j], source[column], source[row], colour, is_diagonal=i == j)
                _mark(axes[i, j], truth.get(column), truth.get(row) if i != j else None)
                _label(axes[i, j], column if i == n - 1 else "", row if j == 0 < i else "")
            summary = _summary(draws[row])
            axes[i, i].set_title(summary, fontsize=7, loc="center", weight="normal")
        if title:
            figure.suptitle(title, fontsize=10)
    return figure


def _frame(axis: Axes, x: tuple[float, float], y: tuple[float, float] | None) -> None:
    axis.grid(visible=False)
    axis.set_xlim(x)
    if y is not None:
        axis.set_ylim(y)


def _draw(axis: Axes, x: np.ndarray, y: np.ndarray, colour: str, *, is_diagonal: bool) -> None:
    low, high = axis.get_xlim()
    if is_diagonal:
        edges = list(np.linspace(low, high, _BINS))
        axis.hist(x, bins=edges, histtype="step", color=colour, density=True, lw=1.2)
        axis.set_yticks([])
        return
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return
    counts, edges_x, edges_y = np.histogram2d(x, y, bins=_BINS)
    smooth = gaussian_filter(np.pad(counts, 2), _SMOOTHING)
    levels = _heights(smooth)
    if levels[0] < levels[1] < smooth.max():
        padded = [_extended(edges) for edges in (edges_x, edges_y)]
        axis.contour(*padded, smooth.T, levels=list(levels), colors=colour, linewidths=1.0)


def _extended(edges: np.ndarray) -> np.ndarray:
    """Middles of bins, with two more on each side."""
    step = edges[1] - edges[0]
    return edges[0] + step * (np.arange(len(edges) + 3) - 1.5)


def _heights(density: np.ndarray) -> tuple[float, float]:
    """Heights that enclose 95 and 68 % of the draws."""
    heights = np.sort(density.ravel())[::-1]
    share = np.cumsum(heights) / heights.sum()
    inner, outer = (float(heights[np.searchsorted(share, level)]) for level in _LEVELS)
    return outer, inner


def _limits(column: np.ndarray, truth: float | None) -> tuple[float, float]:
    low, high = (float(v) for v in np.percentile(column, [0.3, 99.7]))
    if truth is not None:
        low, high = min(low, truth), max(high, truth)
    margin = 0.08 * (high - low) or 1e-6
    return low - margin, high + margin


def _mark(axis: Axes, x: float | None, y: float | None) -> None:
    if x is not None:
        axis.axvline(x, color="0.2", lw=0.8, ls="--")
    if y is not None:
        axis.axhline(y, color="0.2", lw=0.8, ls="--")


def _label(axis: Axes, x: str, y: str) -> None:
    axis.tick_params(labelsize=6, labelbottom=bool(x), labelleft=bool(y))
    axis.tick_params(axis="x", rotation=45)
    axis.locator_params(nbins=3)
    axis.set_xlabel(x, fontsize=8)
    axis.set_ylabel(y, fontsize=8)


def _summary(column: np.ndarray) -> str:
    low, middle, high = (float(v) for v in np.percentile(column, [16, 50, 84]))
    digits = max(0, 1 - int(np.floor(np.log10(max(0.5 * (high - low), 1e-6)))))
    return f"{middle:.{digits}f} +{high - middle:.{digits}f} -{middle - low:.{digits}f}"
