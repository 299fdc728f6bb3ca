"""Figures of many lenses: slopes against redshift, distance ratios, and truths recovered on mocks.

Arrays in, figure out.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from stronglens.plots.style import BLUE, GREY, ORANGE, house_style

_COLUMNS, _CELL = 4, 2.6


@dataclass(frozen=True, eq=False)
class SlopePanel:
    """Slopes of lenses and the line they scatter about."""

    z_lens: Float[np.ndarray, "n"]
    """Redshifts [-]."""
    slope: Float[np.ndarray, "n"]
    """Measured slopes [-]."""
    error: Float[np.ndarray, "n"]
    """Their standard errors [-]."""
    z: Float[np.ndarray, "m"]
    """Redshifts of the line [-]."""
    line: tuple[np.ndarray, np.ndarray, np.ndarray]
    """16, 50 and 84 % of the mean slope there [-]."""
    scatter: float
    """Scatter of slopes about the line [-]."""


@dataclass(frozen=True, eq=False)
class RatioPanel:
    """Distance ratios of lenses against those of a cosmology."""

    expected: Float[np.ndarray, "n"]
    """d_ls / d_source of the cosmology [-]."""
    observed: Float[np.ndarray, "n"]
    """The same from radius and dispersion [-]."""
    log_error: Float[np.ndarray, "n"]
    """Standard error of the observed logarithm [-]."""
    z_lens: Float[np.ndarray, "n"]
    """Redshifts of the deflectors [-]."""
    words: str
    """The cosmology in words."""


def slope_figure(panel: SlopePanel) -> Figure:
    """Slopes against redshift, the mean line with its 68 % band, and the scatter about it.

    Args:
        panel: What is drawn.
    """
    with house_style():
        figure = Figure(figsize=(5.4, 3.8), dpi=140, facecolor="white", layout="constrained")
        axis = figure.subplots()
        low, middle, high = panel.line
        axis.fill_between(
            panel.z, middle - panel.scatter, middle + panel.scatter, color=BLUE, alpha=0.1, lw=0,
            label="scatter",
        )  # fmt: skip
        axis.fill_between(panel.z, low, high, color=BLUE, alpha=0.3, lw=0, label="mean, 68 %")
        axis.plot(panel.z, middle, color=BLUE, lw=1.4)
        axis.errorbar(
            panel.z_lens, panel.slope, panel.error, fmt="o", ms=3, lw=0.8, color=ORANGE,
            label="lenses, prior divided out",
        )  # fmt: skip
        axis.set(xlabel="z_lens", ylabel="slope", xlim=(panel.z[0], panel.z[-1]))
        axis.legend(fontsize=8)
    return figure


def ratio_figure(panel: RatioPanel) -> Figure:
    """Distance ratios from lenses against those of the median cosmology.

    Args:
        panel: What is drawn.
    """
    with house_style():
        figure = Figure(figsize=(5.0, 3.8), dpi=140, facecolor="white", layout="constrained")
        axis = figure.subplots()
        axis.errorbar(
            panel.expected, panel.observed, panel.observed * panel.log_error, fmt="none", lw=0.7,
            color=GREY, alpha=0.6,
        )  # fmt: skip
        points = axis.scatter(panel.expected, panel.observed, c=panel.z_lens, s=14, zorder=3)
        axis.axline((0.5, 0.5), slope=1.0, color=BLUE, lw=1.2)
        axis.set(xlabel=f"d_ls / d_source of {panel.words}", ylabel="from theta_e and sigma_v")
        figure.colorbar(points, label="z_lens")
    return figure


def recovery(
    parameters: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
) -> Figure:
    """Truths of mock samples against their medians with 68 % intervals, a panel per parameter.

    Args:
        parameters: True values, medians, 16 and 84 % quantiles by label.
    """
    n_rows = math.ceil(len(parameters) / _COLUMNS)
    n_columns = min(len(parameters), _COLUMNS)
    with house_style():
        size = (_CELL * n_columns + 0.4, _CELL * n_rows)
        figure = Figure(figsize=size, dpi=140, facecolor="white", layout="constrained")
        axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        for axis, (label, (truth, median, low, high)) in zip(
            axes, parameters.items(), strict=False
        ):
            inside = (low <= truth) & (truth <= high)
            for chosen, colour in ((inside, BLUE), (~inside, ORANGE)):
                bars = np.stack([median - low, high - median])[:, chosen]
                axis.errorbar(
                    truth[chosen], median[chosen], bars, fmt="o", ms=2.5, lw=0.7, color=colour
                )
            axis.axline((float(truth.mean()),) * 2, slope=1.0, color=GREY, lw=0.8)
            axis.set_title(f"{label}: {100 * inside.mean():.0f} % inside 68 %", fontsize=8)
            axis.tick_params(labelsize=7)
            axis.locator_params(nbins=4)
        for axis in axes[len(parameters) :]:
            axis.set_axis_off()
        figure.supxlabel("truth", fontsize=9)
        figure.supylabel("median and 68 %", fontsize=9)
    return figure
