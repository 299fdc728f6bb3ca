"""What every layer of a network makes of one image, layer under layer.

The maps come from `stronglens.finders`; curves are in `curves.py`.
"""

from collections.abc import Mapping

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
_PIXELS = 15


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
    n_rows = len(maps) + 1
    size = (_LABEL + N_MAPS * _SIDE, n_rows * _SIDE + 0.35)
    with house_style():
        figure = Figure(figsize=size, dpi=140, facecolor="white")
        first = _axis(figure, 0, 0)
        first.imshow(image, cmap="gray_r", origin="lower", interpolation="nearest")
        _row_label(figure, 0, "input", image.shape)
        channels: list[int] = []
        n_channels = 0
        followers = [*list(maps.values())[1:], np.zeros((0, 0, 0))]
        for i, ((name, layer), after) in enumerate(zip(maps.items(), followers, strict=True), 1):
            if "convolution" in name or len(layer) != n_channels:
                # after its activation a map may be empty: prefer those that are not
                channels = _contrasting(after if after.shape == layer.shape else layer)
                n_channels = len(layer)
            _row_label(figure, i, name, layer.shape)
            for column, channel in enumerate(channels):
                _show(_axis(figure, i, column), layer[channel])
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


def _axis(figure: Figure, row: int, column: int) -> Axes:
    """Place one square panel; rows count from above."""
    width, height = figure.get_size_inches()
    left = _LABEL + column * _SIDE
    bottom = height - 0.35 - (row + 1) * _SIDE
    box = (left / width, bottom / height, 0.94 * _SIDE / width, 0.94 * _SIDE / height)
    axis = figure.add_axes(box, xticks=[], yticks=[])
    axis.grid(visible=False)
    axis.spines[:].set_visible(True)
    axis.spines[:].set_color("0.8")
    return axis


def _row_label(figure: Figure, row: int, name: str, shape: tuple[int, ...]) -> None:
    """Write the name and size of a layer at the left."""
    width, height = figure.get_size_inches()
    y = (height - 0.35 - (row + 0.5) * _SIDE) / height
    sizes = " x ".join(str(n) for n in (*shape[-2:], *shape[:-2]))
    figure.text(0.1 / width, y, f"{name}\n", va="center", fontsize=9, color="0.1")
    figure.text(0.1 / width, y - 0.11 / height, sizes, va="center", fontsize=8, color="0.45")
