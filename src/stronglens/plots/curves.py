"""Curves and tables of a training and of a test: arrays in, a figure out.

Images are drawn in `mosaic.py`, feature maps in `maps.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from stronglens.plots.style import BLUE, GREEN, GREY, ORANGE, PALETTE, house_style, panels


@dataclass(frozen=True)
class RocBand:
    """One ROC curve with its interval, on a common grid of false-positive rates."""

    name: str
    """What the legend says."""
    fpr: Float[np.ndarray, "point"]
    """False-positive rates."""
    tpr: Float[np.ndarray, "point"]
    """True-positive rates."""
    low: Float[np.ndarray, "point"]
    """Lower ends of the interval."""
    high: Float[np.ndarray, "point"]
    """Upper ends of the interval."""
    lowest_fpr: float
    """Smallest false-positive rate that the test set is large enough for."""


def training_history(
    history: Mapping[str, Float[np.ndarray, "epoch"]],
    *,
    best_epoch: int | None = None,
    parting: int | None = None,
    title: str = "",
) -> Figure:
    """Loss and accuracy of training and validation over the epochs.

    Args:
        history: Columns epoch, loss, val_loss, accuracy, val_accuracy.
        best_epoch: Epoch whose weights were kept; marked by a dot.
        parting: Epoch from which training and validation part; marked by a line.
        title: Set above the panels.

    Returns:
        The figure.
    """
    with house_style():
        figure, axes = panels(2)
        for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
            _history_panel(axis, history, name, best_epoch)
            if parting is not None:
                _mark_parting(axis, parting)
        axes[1].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes[0].legend()
        if title:
            figure.suptitle(title, x=0.01, ha="left")
    return figure


def confusion_matrix(counts: Int[np.ndarray, "2 2"], *, subtitle: str = "") -> Figure:
    """The four outcomes with their probabilities: what is right in blue, what is wrong in orange.

    Args:
        counts: Rows are truth, columns are answers; lens first.
        subtitle: What the answer rests on, such as the threshold.

    Returns:
        The figure.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with house_style():
        figure, (axis,) = panels(1, width=4.2, height=3.9)
        for truth in range(2):
            for answer in range(2):
                _outcome(axis, truth, answer, int(counts[truth, answer]), shares[truth, answer])
        axis.set(xlim=(0, 2), ylim=(2, 0), aspect="equal")
        axis.set_xticks([0.5, 1.5], ["lens", "other"])
        axis.set_yticks([0.5, 1.5], ["lens", "other"], rotation=90, va="center")
        says = "the finder says" + (f" ({subtitle})" if subtitle else "")
        axis.set(xlabel=says, ylabel="truth", title="Right and wrong")
        axis.grid(visible=False)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    return figure


def roc(bands: list[RocBand]) -> Figure:
    """ROC curves with intervals, linear on the left and with a logarithmic rate on the right.

    The right panel ends where the test set has too few negatives to say anything.

    Args:
        bands: A curve per finder.

    Returns:
        The figure.
    """
    with house_style():
        figure, (linear, logarithmic) = panels(2)
        for band, colour in zip(bands, PALETTE, strict=False):
            for axis in (linear, logarithmic):
                axis.fill_between(
                    band.fpr, band.low, band.high, color=colour, alpha=0.2, linewidth=0
                )
                axis.plot(band.fpr, band.tpr, color=colour, label=band.name)
        linear.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (3, 3)))
        linear.set(xlim=(0, 1), title="ROC curve")
        chance = np.geomspace(1e-6, 1, 200)
        logarithmic.plot(chance, chance, color=GREY, linewidth=1, linestyle=(0, (3, 3)))
        lowest = min((band.lowest_fpr for band in bands), default=1e-2)
        logarithmic.set(xscale="log", xlim=(min(lowest, 0.5), 1), title="Few false positives")
        for axis in (linear, logarithmic):
            axis.set(ylim=(0, 1.01), xlabel="false-positive rate", ylabel="true-positive rate")
        linear.legend(loc="lower right")
    return figure


def score_histograms(
    scores: Float[np.ndarray, "n"], labels: Int[np.ndarray, "n"], *, threshold: float
) -> Figure:
    """Scores of lenses and of others, and the threshold between them.

    Args:
        scores: Scores between 0 and 1.
        labels: 1 for lenses, 0 for others.
        threshold: Chosen threshold; drawn beside 0.5.

    Returns:
        The figure.
    """
    with house_style():
        figure, (axis,) = panels(1, width=5.4)
        edges = np.linspace(0, 1, 41).tolist()
        for value, name, colour in ((0, "others", ORANGE), (1, "lenses", BLUE)):
            chosen = scores[labels == value]
            axis.hist(chosen, edges, color=colour, alpha=0.35, linewidth=0)
            axis.hist(chosen, edges, color=colour, histtype="step", linewidth=1.6, label=name)
        axis.axvline(0.5, color=GREY, linewidth=1, linestyle=(0, (3, 3)), label="0.5")
        axis.axvline(
            threshold, color=GREEN, linewidth=1.4, label=f"best on validation: {threshold:.2f}"
        )
        axis.set(xlim=(0, 1), xlabel="score", ylabel="number of images", title="Scores")
        axis.legend(loc="upper center", ncols=2)
        axis.set_ylim(top=axis.get_ylim()[1] * 1.25)
    return figure


def _history_panel(
    axis: Axes, history: Mapping[str, Float[np.ndarray, "epoch"]], name: str, best: int | None
) -> None:
    """Draw training and validation of one figure."""
    epoch = history["epoch"]
    marker = "o" if len(epoch) == 1 else None
    axis.plot(epoch, history[name], color=BLUE, label="training", marker=marker)
    axis.plot(epoch, history[f"val_{name}"], color=ORANGE, label="validation", marker=marker)
    if best is not None and best in epoch:
        i = int(np.flatnonzero(epoch == best)[0])
        axis.plot(
            [best],
            [history[f"val_{name}"][i]],
            "o",
            color=ORANGE,
            markeredgecolor="white",
            markersize=8,
            label=f"best: epoch {best}",
        )
    axis.set(title=name.capitalize(), xlabel="epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def _mark_parting(axis: Axes, epoch: int) -> None:
    """Draw the line from which training and validation part."""
    axis.axvline(epoch, color=GREY, linewidth=1, linestyle=(0, (3, 3)))
    axis.annotate(
        f"they part: epoch {epoch}",
        (epoch, 0.03),
        xycoords=("data", "axes fraction"),
        xytext=(3, 0),
        textcoords="offset points",
        fontsize=8,
        color=GREY,
        rotation=90,
        va="bottom",
    )


def _outcome(axis: Axes, truth: int, answer: int, count: int, share: float) -> None:
    """Draw one field of the confusion matrix."""
    colour = BLUE if truth == answer else ORANGE
    axis.axvspan(
        answer + 0.02,
        answer + 0.98,
        1 - (truth + 0.98) / 2,
        1 - (truth + 0.02) / 2,
        color=colour,
        alpha=0.12 + 0.78 * float(share),
        linewidth=0,
    )
    ink = "white" if share > 0.55 else "0.1"
    place = (answer + 0.5, truth + 0.5)
    axis.annotate(f"{share:.1%}", place, ha="center", va="bottom", color=ink, fontsize=17)
    axis.annotate(
        f"{count:,} images",
        place,
        xytext=(0, -6),
        textcoords="offset points",
        ha="center",
        va="top",
        color=ink,
        fontsize=9,
    )
