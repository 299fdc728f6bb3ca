"""Figures of merit where false positives are rare: areas under the ROC curve in log rate.

Metrics of the whole curve, intervals and refusals are in `metrics.py`.
"""

import numpy as np

from stronglens.core.errors import OutOfRangeError
from stronglens.evaluation.metrics import Metric, Roc


def log_fpr_area(lowest: float, highest: float) -> Metric:
    """Metric: mean true-positive rate between two false-positive rates, evenly in their logarithm.

    Each decade of false-positive rate counts alike, so the figure hangs on the part of the curve
    that a search uses, and is smoother than the true-positive rate at one point. The curve is taken
    as steps: at a rate, the highest true-positive rate with no more false positives.

    Args:
        lowest: Where the average begins, above 0.
        highest: Where it ends, at most 1.

    Returns:
        The metric; 1 for a perfect ranking.

    Raises:
        OutOfRangeError: The rates are not in order between 0 and 1.

    Reference:
        McClish 1989, Medical Decision Making 9, 190, for partial areas; here in the logarithm.
    """
    if not 0 < lowest < highest <= 1:
        raise OutOfRangeError(
            f"lowest={lowest:g} and highest={highest:g} bound no range of false-positive rates. "
            "Allowed: 0 < lowest < highest <= 1."
        )

    def metric(roc: Roc) -> float:
        fpr = roc.fpr
        inner = fpr[(fpr > lowest) & (fpr < highest)]
        edges = np.concatenate([[lowest], np.unique(inner), [highest]])
        last = np.searchsorted(fpr, edges[:-1] * (1 + 1e-12), side="right") - 1
        return float(np.average(roc.tpr[last], weights=np.diff(np.log(edges))))

    return metric


def fpr_at_recall(recall: float) -> Metric:
    """Metric: smallest false-positive rate at which at least such a share of lenses is found.

    Raises:
        OutOfRangeError: The recall is not in (0, 1].
    """
    if not 0 < recall <= 1:
        raise OutOfRangeError(f"recall={recall:g} is no share of lenses. Allowed: (0, 1].")

    def metric(roc: Roc) -> float:
        return float(roc.fpr[_point_of(roc, recall)])

    return metric


def threshold_at_recall(roc: Roc, recall: float) -> float:
    """Highest threshold at which at least such a share of lenses is found."""
    return float(roc.thresholds[_point_of(roc, recall)])


def threshold_at_fpr(roc: Roc, rate: float) -> float:
    """Lowest threshold whose false-positive rate is at most `rate`; scores at it are found."""
    return float(roc.thresholds[np.flatnonzero(roc.fpr <= rate * (1 + 1e-12))[-1]])


def _point_of(roc: Roc, recall: float) -> int:
    return int(np.argmax(roc.tpr >= recall * (1 - 1e-12)))
