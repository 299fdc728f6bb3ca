"""Recovered fraction against properties of lenses, a panel for each; arrays in, figure out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from stronglens.plots.style import BLUE, GREY, house_style


@dataclass(frozen=True, eq=False)
class RecoveryPanel:
    """One panel."""

    label: str
    """Property, with its unit."""
    bins: dict[str, np.ndarray]
    """Columns low, high, n, fraction, fraction_low, fraction_high."""
    is_logarithmic: bool
    """Whether the property's axis is logarithmic."""


def recovery_figure(panels: Sequence[RecoveryPanel]) -> Figure:
    """Recovered fraction with its 95 % interval in bins of each property.

    Args:
        panels: From left to right.
    """
    with house_style():
        figure = Figure(figsize=(3.6 * len(panels), 3.1), dpi=130, layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axis, panel in zip(axes, panels, strict=True):
            bins = panel.bins
            middle = 0.5 * (bins["low"] + bins["high"])
            if panel.is_logarithmic:
                axis.set_xscale("log")
                axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
                axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
                axis.xaxis.set_minor_formatter(NullFormatter())
                middle = np.sqrt(bins["low"] * bins["high"])
            reach = np.stack([middle - bins["low"], bins["high"] - middle])
            error = np.stack(
                [bins["fraction"] - bins["fraction_low"], bins["fraction_high"] - bins["fraction"]]
            )
            axis.errorbar(
                middle, bins["fraction"], np.clip(error, 0, None), reach, fmt="o", color=BLUE
            )
            for x, y, n in zip(middle, bins["fraction"], bins["n"], strict=True):
                axis.annotate(
                    f"{int(n)}", (x, y), xytext=(4, 5), textcoords="offset points",
                    fontsize=6.5, color=GREY,
                )  # fmt: skip
            axis.set(xlabel=panel.label, ylim=(-0.03, 1.03))
        axes[0].set_ylabel("recovered fraction")
    return figure
