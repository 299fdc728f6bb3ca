"""How alike the members of a committee err: arrays in, a figure out."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from stronglens.plots.style import house_style, panels


def overlap_figure(
    share: Float[np.ndarray, "member member"], names: Sequence[str], *, rate: float
) -> Figure:
    """Matrix of shared false positives.

    Args:
        share: Share of the row's false positives that the column has too; NaN where there is none.
        names: Names of the members.
        rate: False-positive rate of every member.

    Returns:
        The figure.
    """
    n = len(names)
    with house_style():
        figure, (axis,) = panels(1, width=3.2 + 0.55 * n, height=2.2 + 0.45 * n)
        axis.imshow(share, cmap="Oranges", vmin=0.0, vmax=1.0, aspect="auto")
        for i in range(n):
            for j in range(n):
                text = "-" if np.isnan(share[i, j]) else f"{share[i, j]:.2f}"
                colour = "white" if share[i, j] > 0.6 else "0.15"
                axis.text(j, i, text, ha="center", va="center", color=colour)
        axis.set_xticks(range(n), names, rotation=35, ha="right")
        axis.set_yticks(range(n), names)
        axis.set(title="Shared false positives", ylabel=f"has (rate {rate:g})")
        axis.set_xlabel("has too")
        axis.grid(visible=False)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    return figure
