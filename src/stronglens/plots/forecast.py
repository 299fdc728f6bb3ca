"""Figures of a forecast: what lenses are like, and how many are left after each cut."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stronglens.plots.style import BLUE, GREY, ORANGE, house_style, panels

_PANELS = (
    ("theta_e", "Einstein radius [arcsec]", (0.0, 3.0)),
    ("z_lens", "redshift of the deflector", (0.0, 2.0)),
    ("z_source", "redshift of the source", (0.0, 6.0)),
    ("mag_source_i", "source, unlensed [mag AB]", (20.0, 28.5)),
)


def lens_histograms(
    lenses: Mapping[str, Float[np.ndarray, " n"]],
    is_discoverable: Bool[np.ndarray, " n"],
    *,
    title: str = "",
) -> Figure:
    """Distributions of ideal and of discoverable lenses, each with its median.

    Args:
        lenses: Weighted lenses: weight, theta_e, z_lens, z_source, mag_source_i.
        is_discoverable: Which of them pass every cut.
        title: Set above the panels.

    Returns:
        The figure.
    """
    with house_style():
        figure, axes = panels(len(_PANELS), width=3.6, height=3.4)
        for axis, (name, label, limits) in zip(axes, _PANELS, strict=True):
            everything = np.ones_like(is_discoverable)
            _histogram(axis, lenses, name, everything, limits, ("ideal", GREY))
            _histogram(axis, lenses, name, is_discoverable, limits, ("discoverable", BLUE))
            axis.set(xlim=limits, xlabel=label, yticks=[])
        axes[0].set_ylabel("lenses, each curve scaled to its sum")
        axes[0].legend()
        if title:
            figure.suptitle(title, x=0.01, ha="left")
    return figure


def cut_waterfall(remaining: Mapping[str, float], n_ideal: float, *, title: str = "") -> Figure:
    """Number of lenses left after each cut in sequence.

    Args:
        remaining: Fraction of ideal lenses left after each cut.
        n_ideal: Ideal lenses in the area.
        title: Set above the bars.

    Returns:
        The figure.
    """
    names, numbers = list(remaining), [share * n_ideal for share in remaining.values()]
    with house_style():
        figure, (axis,) = panels(1, width=7.4, height=0.9 + 0.45 * len(names))
        rows = range(len(names))
        shown = [max(number, 0.5) for number in numbers]
        axis.barh(rows, shown, color=[BLUE] * (len(names) - 1) + [ORANGE], alpha=0.85)
        for row, number in zip(rows, numbers, strict=True):
            share = number / n_ideal if n_ideal else 0.0
            text = f" {number:,.0f}  ({share:.2%})"
            axis.annotate(text, (shown[row], row), va="center", fontsize=9)
        axis.set_yticks(list(rows), names)
        axis.set(xscale="log", xlabel="lenses left after each cut", title=title or "Cuts")
        axis.set_xlim(min(shown) / 5, max(shown) * 12)
        axis.invert_yaxis()
        axis.grid(visible=False, axis="y")
    return figure


def _histogram(
    axis: Axes,
    lenses: Mapping[str, Float[np.ndarray, " n"]],
    name: str,
    rows: Bool[np.ndarray, " n"],
    limits: tuple[float, float],
    look: tuple[str, str],
) -> None:
    """Draw one distribution, scaled to its sum."""
    if not rows.any():
        return
    label, colour = look
    weight = lenses["weight"][rows] / lenses["weight"][rows].sum()
    edges = np.linspace(*limits, 31).tolist()
    own = {"weights": weight, "color": colour}
    axis.hist(lenses[name][rows], edges, alpha=0.25, linewidth=0, **own)
    axis.hist(lenses[name][rows], edges, histtype="step", linewidth=1.6, label=label, **own)
