"""A measured lens on one sheet: image, arcs, model, residual, source with caustics.

Arrays in, figure out; what a model is was decided by the caller.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stronglens.plots.style import GREEN, ORANGE, house_style

_CELL = 3.1
Curve = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class LensSheet:
    """The pictures of one measured lens; NaN where there is nothing to show."""

    image: Float[np.ndarray, "y x"]
    """The image, in units of the noise."""
    arcs: Float[np.ndarray, "y x"]
    """The image less the deflector, in units of the noise."""
    model_arcs: Float[np.ndarray, "y x"]
    """The lensed source of the model, in units of the noise."""
    residual: Float[np.ndarray, "y x"]
    """Image less model, in units of the noise."""
    source: Float[np.ndarray, "v u"]
    """The source [pixel units]."""
    extent: tuple[float, float, float, float]
    """Left, right, bottom and top of the images [arcsec]."""
    source_extent: tuple[float, float, float, float]
    """The same of the source [arcsec]."""
    critical: Sequence[Curve] = field(default_factory=tuple)
    """Critical curves, x and y [arcsec]."""
    caustics: Sequence[Curve] = field(default_factory=tuple)
    """Caustics and cut, x and y [arcsec]."""


def lens_panels(sheet: LensSheet, *, title: str = "") -> Figure:
    """Five panels of a lens: image, arcs, model, residual from -5 to 5, source plane.

    Args:
        sheet: The pictures.
        title: Set above.

    Returns:
        The figure.
    """
    with house_style():
        figure = Figure(
            figsize=(5 * _CELL, _CELL + 0.55), dpi=110, facecolor="white", layout="constrained"
        )
        axes = figure.subplots(1, 5)
        brightest = _brightest(sheet.image, 200.0)
        _show(
            axes[0], np.arcsinh(sheet.image / 3.0), sheet.extent, (0.0, np.arcsinh(brightest / 3))
        )
        arc_limit = _brightest(sheet.model_arcs, 5.0)
        for axis, plane in ((axes[1], sheet.arcs), (axes[2], sheet.model_arcs)):
            _show(axis, plane, sheet.extent, (-0.15 * arc_limit, arc_limit))
        _show(axes[3], sheet.residual, sheet.extent, (-5.0, 5.0), "RdBu_r")
        top = max(float(np.nanmax(sheet.source)), 1e-30)
        _show(axes[4], sheet.source, sheet.source_extent, (0.0, top), "magma")
        for axis in axes[:3]:
            _lines(axis, sheet.critical, ORANGE)
        _lines(axes[4], sheet.caustics, GREEN)
        axes[4].set_xlim(sheet.source_extent[:2])
        axes[4].set_ylim(sheet.source_extent[2:])
        titles = ("image", "less the deflector", "lensed source", "residual, ±5 sigma", "source")
        for axis, text in zip(axes, titles, strict=True):
            axis.set_title(text, fontsize=9)
        axes[0].set_xlabel("x [arcsec]", fontsize=8)
        axes[0].set_ylabel("y [arcsec]", fontsize=8)
        if title:
            figure.suptitle(title, fontsize=11, x=0.01, ha="left", weight="bold")
    return figure


def _brightest(plane: np.ndarray, least: float) -> float:
    good = plane[np.isfinite(plane)]
    return max(float(np.percentile(good, 99.7)), least) if good.size else least


def _show(
    axis: Axes,
    plane: np.ndarray,
    extent: tuple[float, float, float, float],
    limits: tuple[float, float],
    colours: str = "gray_r",
) -> None:
    axis.imshow(
        plane, origin="lower", extent=extent, cmap=colours, vmin=limits[0], vmax=limits[1],
        interpolation="nearest",
    )  # fmt: skip
    axis.grid(visible=False)
    axis.tick_params(labelsize=7)


def _lines(axis: Axes, curves: Sequence[Curve], colour: str) -> None:
    for x, y in curves:
        axis.plot(np.append(x, x[0]), np.append(y, y[0]), color=colour, lw=0.9)
