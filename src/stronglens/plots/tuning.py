"""The history of a study and the importance of what it searched: numbers in, a figure out."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stronglens.plots.style import BLUE, GREY, ORANGE, house_style, panels


def study_history(
    complete: Float[np.ndarray, "trial 2"],
    pruned: Float[np.ndarray, "..."],
    *,
    figure: str,
    is_minimised: bool,
) -> Figure:
    """Value of every trial in the order in which they began, and the best so far.

    Args:
        complete: Number and value of the trials that were trained to their end.
        pruned: Number and last value of those that were given up; may be empty.
        figure: What the value is.
        is_minimised: Whether a small value is a good one.

    Returns:
        The figure.
    """
    complete = complete[np.argsort(complete[:, 0])]
    best = np.minimum if is_minimised else np.maximum
    with house_style():
        drawn, (axis,) = panels(1, width=6.0)
        if len(pruned):
            numbers, values = pruned.reshape(-1, 2).T
            axis.plot(numbers, values, "x", color=GREY, label="given up")
        axis.plot(*complete.T, "o", color=BLUE, label="trial")
        so_far = best.accumulate(complete[:, 1])
        axis.step(complete[:, 0], so_far, color=ORANGE, where="post", label="best so far")
        axis.set(xlabel="trial", ylabel=figure, title="History of the study")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        if is_minimised and complete[:, 1].max() > 10 * complete[:, 1].min() > 0:
            axis.set_yscale("log")
        axis.legend()
    return drawn


def importance_figure(importance: Mapping[str, float]) -> Figure:
    """Share of each setting in what makes trials differ, largest first.

    Args:
        importance: Shares by name.

    Returns:
        The figure.

    Reference:
        Watanabe et al. 2023 (arXiv 2304.10255) for the shares.
    """
    names = sorted(importance, key=lambda name: importance[name])
    with house_style():
        drawn, (axis,) = panels(1, width=5.2, height=1.4 + 0.3 * len(names))
        bars = axis.barh(names, [importance[name] for name in names], color=BLUE)
        axis.bar_label(bars, fmt="%.2f", padding=3)
        axis.set(xlabel="share of what makes trials differ", title="What mattered")
        axis.margins(x=0.12)
        axis.grid(axis="y", visible=False)
    return drawn
