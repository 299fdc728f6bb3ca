"""What every layer of a network makes of one image, layer under layer.

The maps come from `stronglens.finders`; curves are in `curves.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stronglens.core.errors import WrongShapeError
from stronglens.plots.style import house_style

N_MAPS = 8
"""Maps shown of each layer: those with the greatest contrast."""
_SIDE = 0.8
_LABEL = 1.65
_HEADING = 0.35
_LOWEST = 0.4


def feature_map_figure(
    image: Float[np.ndarray, "y x"],
    maps: Mapping[str, Float[np.ndarray, "channel y_out x_out"]],
    *,
    title: str = "",
) -> Figure:
    """One image and, row by row, the maps of highest contrast that each layer makes of it.

    Channels are chosen after each convolution and kept for the layers that follow it, so that a
    column shows one feature on its way through activation, pooling and dropout.

    Args:
        image: The image as the network sees it.
        maps: Maps by the name of their layer, in order.
        title: Set above.

    Returns:
        The figure.

    Raises:
        WrongShapeError: There is no map.
    """
    if not maps:
        raise WrongShapeError("no feature maps to draw. Pass those of at least one layer.")
    rows = _rows([image.shape, *(layer.shape for layer in maps.values())])
    size = (_LABEL + N_MAPS * _SIDE, rows[-1].bottom + _HEADING)
    with house_style():
        figure = Figure(figsize=size, dpi=140, facecolor="white")
        first = _axis(figure, rows[0], 0)
        first.imshow(image, cmap="gray_r", origin="lower", interpolation="nearest")
        _row_label(figure, rows[0], "input", image.shape)
        channels: list[int] = []
        n_channels = 0
        followers = [*list(maps.values())[1:], np.zeros((0, 0, 0))]
        for (name, layer), after, row in zip(maps.items(), followers, rows[1:], strict=True):
            if "convolution" in name or len(layer) != n_channels:
                # after its activation a map may be empty: prefer those that are not
                channels = _contrasting(after if after.shape == layer.shape else layer)
                n_channels = len(layer)
            _row_label(figure, row, name, layer.shape)
            for column, channel in enumerate(channels):
                _show(_axis(figure, row, column), layer[channel])
        if title:
            figure.text(0.012, 1 - 0.1 / size[1], title, va="top", fontsize=10, weight="bold")
    return figure


def _contrasting(layer: Float[np.ndarray, "channel y x"]) -> list[int]:
    """Numbers of the maps that vary most, in their own order."""
    contrast = layer.reshape(len(layer), -1).std(axis=1)
    return sorted(np.argsort(contrast)[::-1][:N_MAPS].tolist())


def _show(axis: Axes, values: Float[np.ndarray, "y x"]) -> None:
    """Draw one map: zero is white, negative values are orange, positive ones purple."""
    limit = float(np.abs(values).max()) or 1.0
    axis.imshow(
        values,
        cmap="PuOr",
        vmin=-limit,
        vmax=limit,
        origin="lower",
        interpolation="nearest",
    )


@dataclass(frozen=True)
class _Row:
    """Where a row of panels stands, measured downwards from the heading [inch]."""

    top: float
    height: float

    @property
    def bottom(self) -> float:
        return self.top + self.height


def _rows(shapes: Sequence[tuple[int, ...]]) -> list[_Row]:
    """Place a row for each layer, as low as its maps are."""
    rows, top = [], 0.0
    for shape in shapes:
        rows.append(_Row(top, max(_LOWEST, _SIDE * min(1.0, shape[-2] / shape[-1]))))
        top = rows[-1].bottom
    return rows


def _axis(figure: Figure, row: _Row, column: int) -> Axes:
    """Place one panel."""
    width, height = figure.get_size_inches()
    left = _LABEL + column * _SIDE
    bottom = height - _HEADING - row.bottom
    tall = row.height - 0.06 * _SIDE
    box = (left / width, bottom / height, 0.94 * _SIDE / width, tall / height)
    axis = figure.add_axes(box, xticks=[], yticks=[])
    axis.grid(visible=False)
    axis.spines[:].set_visible(True)
    axis.spines[:].set_color("0.8")
    return axis


def _row_label(figure: Figure, row: _Row, name: str, shape: tuple[int, ...]) -> None:
    """Write the name and size of a layer at the left."""
    width, height = figure.get_size_inches()
    y = height - _HEADING - row.top - 0.5 * row.height
    sizes = " x ".join(str(n) for n in (*shape[-2:], *shape[:-2]))
    figure.text(0.1 / width, (y + 0.08) / height, name, va="center", fontsize=9, color="0.1")
    figure.text(0.1 / width, (y - 0.09) / height, sizes, va="center", fontsize=8, color="0.45")
