"""Contact sheets: many small images on one white page, sky white and galaxies dark.

Which images, in which order and under which titles is decided by the caller.
"""

import textwrap
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stronglens.core.errors import WrongShapeError
from stronglens.data.stretch import display_stretch

Stretch = Literal["asinh", "linear", "none"]

_CELL = 1.35
_TITLE_LINE = 0.145
_FOOTNOTE_LINE = 0.14
_FOOTNOTE_COLUMNS = 4
_MARGIN = 0.25
_FRAME_GREY = "0.75"


def mosaic(
    images: Sequence[np.ndarray] | np.ndarray,
    titles: Sequence[str] | None = None,
    *,
    columns: int = 8,
    stretch: Stretch = "asinh",
    footnote: str | None = None,
    frame_colours: Sequence[str | None] | None = None,
) -> Figure:
    """Figure with images in rows, read like a page; the first row of an array is at its bottom.

    Args:
        images: Each (y, x) [pixel units], or (y, x, 3) with colours from 0 to 1; sizes may differ.
        titles: One per image, lines separated by a newline.
        columns: Images per row; fewer images make a narrower page.
        stretch: "asinh" scales by the noise of the sky, so that faint arcs and bright centres both
            show; "linear" goes from the least to the greatest value; "none" takes values as 0 to 1.
        footnote: Text below the images; long lines are wrapped.
        frame_colours: Colour of each image's frame; None leaves it grey.

    Returns:
        A figure that no window knows of: save it with its own `savefig`.

    Raises:
        WrongShapeError: Not as many titles or colours as images, or an image of another shape.
    """
    n = len(images)
    _check_counts(n, titles, frame_colours)
    n_columns = max(1, min(columns, n))
    n_rows = -(-n // n_columns)
    title_lines = max([text.count("\n") + 1 for text in titles or ()], default=0)
    notes = _wrapped(footnote, n_columns)
    figure, axes = _page(n_rows, n_columns, title_lines, notes)
    for index in range(n):
        axis = axes[index]
        _show(axis, np.asarray(images[index]), stretch)
        _frame(axis, frame_colours[index] if frame_colours is not None else None)
        if titles is not None:
            axis.set_title(titles[index], fontsize=6.5, pad=2.5, linespacing=1.15)
    for axis in axes[n:]:
        axis.set_axis_off()
    return figure


def _check_counts(
    n: int, titles: Sequence[str] | None, frame_colours: Sequence[str | None] | None
) -> None:
    """Refuse lists that are not as long as the images."""
    for name, values in (("titles", titles), ("frame_colours", frame_colours)):
        if values is not None and len(values) != n:
            raise WrongShapeError(
                f"{name} has {len(values)} entries for {n} images. Give one per image, or None."
            )


def _wrapped(footnote: str | None, n_columns: int) -> list[str]:
    """Lines of the footnote that fit under the images."""
    width = int(max(n_columns, _FOOTNOTE_COLUMNS) * _CELL * 17)
    lines = (footnote or "").splitlines()
    return [part for line in lines for part in textwrap.wrap(line, width) or [""]]


def _page(
    n_rows: int, n_columns: int, title_lines: int, notes: Sequence[str]
) -> tuple[Figure, list[Axes]]:
    """White figure with its axes, row by row, and the footnote below them."""
    row = _CELL + 0.06 + _TITLE_LINE * title_lines
    foot = _FOOTNOTE_LINE * len(notes) + (0.12 if notes else 0.0)
    page_columns = max(n_columns, _FOOTNOTE_COLUMNS) if notes else n_columns
    width = page_columns * (_CELL + 0.06) + 2 * _MARGIN
    height = n_rows * row + foot + 2 * _MARGIN
    figure = Figure(figsize=(width, height), dpi=130, facecolor="white")
    axes = []
    for index in range(n_rows * n_columns):
        left = _MARGIN + (index % n_columns) * (_CELL + 0.06)
        top = height - _MARGIN - (index // n_columns) * row - _TITLE_LINE * title_lines
        box = (left / width, (top - _CELL) / height, _CELL / width, _CELL / height)
        axes.append(figure.add_axes(box))
    if notes:
        place = (_MARGIN / width, (foot + _MARGIN - 0.1) / height)
        figure.text(*place, "\n".join(notes), fontsize=6.5, va="top", color="0.25")
    return figure, axes


def _show(axis: Axes, image: np.ndarray, stretch: Stretch) -> None:
    """Draw one image, stretched, dark on white."""
    if image.ndim == 3 and image.shape[-1] == 3:
        axis.imshow(np.clip(image, 0, 1), origin="lower", interpolation="nearest")
        return
    if image.ndim != 2:
        raise WrongShapeError(
            f"an image of the mosaic has shape {image.shape}. Allowed: (y, x) or (y, x, 3); "
            "choose one band first."
        )
    values = _stretched(image, stretch)
    axis.imshow(values, cmap="gray_r", vmin=0, vmax=1, origin="lower", interpolation="nearest")


def _stretched(image: np.ndarray, stretch: Stretch) -> np.ndarray:
    """Values from 0, the sky, to 1."""
    values = np.asarray(image, dtype=np.float32)
    if stretch == "none":
        return values
    good = values[np.isfinite(values)]
    low, high = (float(good.min()), float(good.max())) if good.size else (0.0, 0.0)
    if high <= low:
        return np.zeros_like(values)
    if stretch == "linear":
        return (values - low) / (high - low)
    bare = torch.from_numpy(values - np.float32(_sky(values)))
    return display_stretch(bare[None, None])[0, 0].numpy()


def _sky(values: np.ndarray) -> float:
    """Median of the outermost tenth, so that an image which still has its sky is white there."""
    border = max(1, min(values.shape) // 10)
    is_border = np.ones(values.shape, dtype=bool)
    is_border[border:-border, border:-border] = False
    outer = values[is_border & np.isfinite(values)]
    return float(np.median(outer)) if outer.size else 0.0


def _frame(axis: Axes, colour: str | None) -> None:
    """Take off the ticks and draw the frame in its colour."""
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_color(colour or _FRAME_GREY)
        spine.set_linewidth(1.8 if colour else 0.6)
