"""The page of a calibration certificate: coverage, joint coverage and errors against S/N."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, NullFormatter

from stronglens.plots.style import GREY, PALETTE, house_style, panels

_DASHES = ("-", "--")


def calibration_page(certificate: Mapping[str, Any]) -> Figure:
    """Coverage of each parameter, joint coverage, and errors stated and made against S/N.

    Args:
        certificate: levels, coverage (a curve per parameter), coverage_noise, tarp, and by_snr (a
            list of bins with arc_snr and, per parameter, sigma and rms), as plain values.

    Returns:
        The figure.
    """
    with house_style():
        figure, (left, middle, right) = panels(3)
        levels = np.array(certificate["levels"])
        curves = {name: np.array(c) - levels for name, c in certificate["coverage"].items()}
        _deviation(left, levels, curves, certificate["coverage_noise"])
        left.set_title("Coverage of each parameter")
        left.set_ylabel("coverage minus nominal")
        left.legend(ncols=3, fontsize=6.5, loc="lower center")
        joint = {"TARP": np.array(certificate["tarp"]) - levels}
        _deviation(middle, levels, joint, certificate["coverage_noise"])
        middle.set_title("Joint coverage (TARP)")
        _errors(right, certificate["by_snr"])
    return figure


def _deviation(
    axis: Axes, levels: np.ndarray, curves: Mapping[str, np.ndarray], noise: float
) -> None:
    """Curves about zero with the band that chance allows."""
    axis.axhspan(-noise, noise, color="0.93", zorder=0)
    axis.axhline(0.0, color=GREY, linewidth=0.8)
    for i, (name, curve) in enumerate(curves.items()):
        style = _DASHES[i // len(PALETTE)]
        axis.plot(levels, curve, style, color=PALETTE[i % len(PALETTE)], label=name, linewidth=1.3)
    reach = max(0.05, 1.5 * noise, *(1.3 * float(np.abs(c).max()) for c in curves.values()))
    axis.set_ylim(-reach, reach)
    axis.set_xlabel("probability of the interval")


def _errors(axis: Axes, bins: list[dict[str, Any]]) -> None:
    """Stated and made errors of theta_e, ellipticity and shear."""
    filled = [row for row in bins if row["n"]]
    snr = [float(np.sqrt(row["arc_snr"][0] * row["arc_snr"][1])) for row in filled]
    shown = (("theta_e", "theta_e (relative)"), ("e1", "e1"), ("gamma1", "gamma1"))
    for (name, label), colour in zip(shown, PALETTE, strict=False):
        made = [row[name]["nmad"] for row in filled]
        axis.plot(snr, [row[name]["sigma"] for row in filled], "-", color=colour, label=label)
        axis.plot(snr, made, "o", color=colour, markersize=4)
    axis.set(xscale="log", yscale="log", xlabel="S/N of the arcs")
    axis.set_xticks([20.0, 50.0, 100.0, 200.0, 400.0])
    axis.set_yticks([0.02, 0.05, 0.1, 0.2])
    for one in (axis.xaxis, axis.yaxis):
        one.set_major_formatter(FormatStrFormatter("%g"))
        one.set_minor_formatter(NullFormatter())
    axis.set_title("Stated (lines) and made (dots) errors")
    axis.legend()
