"""Two distributions of each feature, side by side in one panel; arrays in, figure out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from matplotlib.figure import Figure

from stronglens.plots.style import BLUE, ORANGE, house_style

_COLUMNS = 4
_BINS = 32


@dataclass(frozen=True, eq=False)
class FeaturePair:
    """One feature in two sets of images; NaN is left out."""

    label: str
    """Its name."""
    here: Float64[np.ndarray, "n"]
    """Values in the survey."""
    there: Float64[np.ndarray, "m"]
    """Values in the training images."""


def fitness_figure(pairs: Sequence[FeaturePair]) -> Figure:
    """Histograms of features of a survey and of training images, each of area 1.

    Args:
        pairs: The features, in rows of four.
    """
    n_rows = -(-len(pairs) // _COLUMNS)
    with house_style():
        figure = Figure(figsize=(3.1 * _COLUMNS, 2.5 * n_rows), dpi=120, layout="constrained")
        axes = figure.subplots(n_rows, _COLUMNS, squeeze=False).ravel()
        for axis, pair in zip(axes, pairs, strict=False):
            known = [values[np.isfinite(values)] for values in (pair.here, pair.there)]
            joined = np.concatenate(known)
            low, high = np.quantile(joined, [0.005, 0.995]) if len(joined) else (0.0, 1.0)
            edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
            for values, colour, name in zip(known, (BLUE, ORANGE), ("here", "training"),
                                            strict=True):  # fmt: skip
                weights = np.full(len(values), 1 / max(len(values), 1))
                axis.hist(np.clip(values, edges[0], edges[-1]), edges, weights=weights,
                          histtype="step", color=colour, label=name)  # fmt: skip
            axis.set_title(pair.label, fontsize=8)
            axis.set_yticks([])
        axes[0].legend(fontsize=7)
        for axis in axes[len(pairs) :]:
            axis.set_axis_off()
    return figure
