"""Reliability of probabilities on a log-odds axis, where rare things can be seen.

The numbers come from `stronglens.evaluation.reliability`, as a record with these fields.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stronglens.plots.style import BLUE, GREY, ORANGE, house_style, panels

_ROUND = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)


class _Interval(Protocol):
    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


class _Bin(Protocol):
    @property
    def log_odds(self) -> float: ...
    @property
    def observed(self) -> _Interval: ...
    @property
    def ratio(self) -> _Interval | None: ...


class _Reliability(Protocol):
    @property
    def prevalence(self) -> float: ...
    @property
    def slope(self) -> _Interval: ...
    @property
    def intercept(self) -> _Interval: ...
    @property
    def bins(self) -> Sequence[_Bin]: ...


def reliability_figure(found: _Reliability, *, title: str = "") -> Figure:
    """Observed against predicted log-odds, and predicted over true numbers of lenses.

    Args:
        found: Bins with intervals, slope and intercept.
        title: Set above the panels.

    Returns:
        The figure.
    """
    with house_style():
        figure, (left, right) = panels(2)
        _log_odds_panel(left, found)
        _ratio_panel(right, found)
        if title:
            figure.suptitle(title, x=0.01, ha="left")
    return figure


def _log_odds_panel(axis: Axes, found: _Reliability) -> None:
    """Draw the bins beside the line on which probabilities hold."""
    x = np.array([b.log_odds for b in found.bins])
    value, low, high = (
        _logit(np.array([getattr(b.observed, end) for b in found.bins]))
        for end in ("value", "low", "high")
    )
    shown = np.isfinite(value)
    span = np.concatenate([x, value[shown]])
    ends = np.array([span.min() - 1, span.max() + 1])
    axis.plot(ends, ends, color=GREY, linewidth=1, linestyle=(0, (3, 3)))
    low, high = np.maximum(low[shown], ends[0] - 3), np.minimum(high[shown], ends[1] + 3)
    reach = np.maximum(np.stack([value[shown] - low, high - value[shown]]), 0)
    axis.errorbar(x[shown], value[shown], reach, fmt="o", color=BLUE)
    everyone = (x >= ends[0]) & ~shown  # only lenses or only others: no finite log-odds
    axis.plot(x[everyone], np.full(everyone.sum(), ends[1]), "^", color=BLUE, markersize=4)
    axis.set(xlim=ends.tolist(), ylim=(ends[0], ends[1] + 0.5))
    _ticks(axis, both=True)
    axis.set(xlabel="predicted probability", ylabel="share of lenses")
    axis.set_title(f"At a prevalence of {found.prevalence:g}")
    slope, shift = found.slope, found.intercept
    text = (
        f"slope {slope.value:.2f} ({slope.low:.2f} to {slope.high:.2f})\n"
        f"intercept {shift.value:+.2f} ({shift.low:+.2f} to {shift.high:+.2f})"
    )
    axis.annotate(text, (0.04, 0.96), xycoords="axes fraction", va="top", fontsize=8.5)


def _ratio_panel(axis: Axes, found: _Reliability) -> None:
    """Draw predicted over true numbers of the bins with lenses enough, and the aim."""
    axis.axhspan(0.8, 1.25, color=GREY, alpha=0.12, linewidth=0)
    axis.axhline(1, color=GREY, linewidth=1, linestyle=(0, (3, 3)))
    stated = [(b.log_odds, b.ratio) for b in found.bins if b.ratio is not None]
    if stated:
        x = np.array([place for place, _ in stated])
        value, low, high = (
            np.array([getattr(ratio, end) for _, ratio in stated])
            for end in ("value", "low", "high")
        )
        reach = np.stack([value - low, high - value])
        axis.errorbar(x, value, np.maximum(reach, 0), fmt="o", color=ORANGE)
    else:
        axis.text(
            0.5, 0.5, "no bin has 30 lenses and 10 others", transform=axis.transAxes, ha="center"
        )
    axis.set_yscale("log")
    axis.set_yticks([0.25, 0.5, 0.8, 1, 1.25, 2, 4], ["¼", "½", "0.8", "1", "1.25", "2", "4"])
    axis.minorticks_off()
    axis.set_ylim(0.2, 5)
    x = [b.log_odds for b in found.bins]
    axis.set_xlim(min(x) - 1, max(x) + 1)
    _ticks(axis, both=False)
    axis.set(xlabel="predicted probability", ylabel="lenses predicted / true", title="Numbers")


def _logit(share: np.ndarray) -> np.ndarray:
    """Log-odds of shares; infinite at 0 and 1."""
    with np.errstate(divide="ignore"):
        return np.log(share) - np.log1p(-np.minimum(share, 1.0))


def _ticks(axis: Axes, *, both: bool) -> None:
    """Write probabilities at round places of axes in log-odds."""
    places = [float(_logit(np.array(p))) for p in _ROUND]
    labels = [f"{p:g}" for p in _ROUND]
    limits = axis.get_xlim(), axis.get_ylim()
    axis.set_xticks(places, labels, rotation=45)
    if both:
        axis.set_yticks(places, labels)
    axis.set(xlim=limits[0], ylim=limits[1])
