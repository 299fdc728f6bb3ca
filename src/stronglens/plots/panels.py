"""Tables of images with named rows and columns, and histograms of what a dataset holds.

Arrays in, figure out; which images to show is decided by the caller.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from stronglens.core.errors import WrongShapeError

_BLUE, _GREY = "#2a6f97", "#9aa5b1"
_CELL = 1.25


def panel_table(
    rows: Sequence[Sequence[np.ndarray]],
    row_titles: Sequence[str],
    column_titles: Sequence[str],
    sigma: Sequence[float],
) -> Figure:
    """Images in a table, every column with a stretch of its own that all its images share.

    Args:
        rows: Images (y, x) row by row [pixel units].
        row_titles: Text at the left of each row.
        column_titles: Text above each column.
        sigma: Noise of the sky that a column's stretch is scaled by [pixel units].

    Returns:
        The figure.

    Raises:
        WrongShapeError: A row is not as long as the titles.
    """
    if any(len(row) != len(column_titles) for row in rows) or len(sigma) != len(column_titles):
        raise WrongShapeError(
            f"rows of {[len(row) for row in rows]} images and {len(sigma)} noise levels for "
            f"{len(column_titles)} column titles. Give as many of each."
        )
    size = (_CELL * len(column_titles) + 1.0, _CELL * len(rows) + 0.55)
    figure = Figure(figsize=size, dpi=150, facecolor="white", layout="constrained")
    axes = figure.subplots(len(rows), len(column_titles), squeeze=False)
    for j, softening in enumerate(sigma):
        brightest = max(float(np.percentile(row[j], 99.8)) for row in rows)
        for i, row in enumerate(rows):
            _show(axes[i, j], row[j] / softening, brightest / softening)
    for i in range(len(rows)):
        axes[i, 0].set_ylabel(row_titles[i], fontsize=7.5, rotation=0, ha="right", va="center")
    for axis, title in zip(axes[0], column_titles, strict=True):
        axis.set_title(title, fontsize=7.5)
    return figure


def histograms(
    columns: Mapping[str, Float[np.ndarray, " n"]], *, log_scaled: frozenset[str] = frozenset()
) -> Figure:
    """One histogram per column, with its median and 68 % range.

    Args:
        columns: Values by axis label, the unit in brackets; NaN is left out.
        log_scaled: Labels whose axis is logarithmic.
    """
    figure = Figure(
        figsize=(3.1 * len(columns), 2.3), dpi=150, facecolor="white", layout="constrained"
    )
    axes = figure.subplots(1, len(columns), squeeze=False)[0]
    for axis, (label, values) in zip(axes, columns.items(), strict=True):
        good = values[np.isfinite(values)]
        _histogram(axis, good, is_log=label in log_scaled)
        low, middle, high = np.percentile(good, [16, 50, 84])
        axis.axvspan(low, high, color=_GREY, alpha=0.25, lw=0)
        axis.axvline(middle, color="black", lw=1)
        axis.set_title(f"median {middle:.3g}, 68 % {low:.3g} to {high:.3g}", fontsize=7)
        axis.set_xlabel(label, fontsize=8)
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("images", fontsize=8)
    return figure


def _histogram(axis: Axes, values: Float[np.ndarray, " n"], *, is_log: bool) -> None:
    if is_log:
        low, high = np.percentile(values, [0.1, 100]).clip(1e-3)
        edges = np.geomspace(low, high, 40)
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
    else:
        edges = np.linspace(values.min(), values.max(), 40)
    axis.hist(values, bins=list(edges), color=_BLUE)


def _show(axis: Axes, image: np.ndarray, brightest: float) -> None:
    """Draw an image in units of the noise, so that the sky is white and `brightest` black."""
    scaled = np.arcsinh(image / 8.0) / np.arcsinh(max(brightest, 8.0) / 8.0)
    axis.imshow(scaled, cmap="gray_r", vmin=0.0, vmax=1.0, origin="lower", interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_color("0.75")
