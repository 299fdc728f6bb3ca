"""Figures of merit of one row on the images of an arm, with intervals and refusals.

The arithmetic is that of `stronglens.evaluation`; how figures are laid out is in `pages`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from suites.settings import RATES

from stronglens.evaluation.estimate import Estimate
from stronglens.evaluation.low_rates import threshold_at_fpr
from stronglens.evaluation.metrics import (
    Bootstrap,
    Metric,
    auroc_of,
    binomial_estimate,
    estimates,
    over_tenths,
    paired_difference,
    refusal,
    roc_curve,
    tpr0,
    tpr10,
    tpr_at_fpr,
)

ALL, DETECTABLE = "all", "detectable"
_MANY = 100_000


@dataclass(frozen=True)
class Figures:
    """What one row reached."""

    n_failed: int
    """Images without a score, which count as the least likely of all."""
    auroc: dict[str, Estimate]
    """Area under the ROC curve, by kind of lens."""
    tpr: dict[tuple[str, float], Estimate]
    """True-positive rate by kind of lens and false-positive rate."""
    tpr0: Estimate
    """Before the first false positive, over ten disjoint tenths of the negatives."""
    tpr10: Estimate
    """With fewer than ten false positives."""


@dataclass(frozen=True)
class Carried:
    """What one row reaches at a threshold fixed on other images."""

    rate: float
    """False-positive rate that was stated there."""
    threshold: float
    """Logit of the threshold; scores at it are found."""
    fpr: Estimate
    """False-positive rate here."""
    tpr: dict[str, Estimate] = field(default_factory=dict)
    """True-positive rate here, by kind of lens."""
    by_class: dict[str, Estimate] = field(default_factory=dict)
    """False-positive rate of each class of scenes that is no lens."""


def bootstrap_for(n: int) -> Bootstrap:
    """Return how intervals are drawn: fewer resamplings of very many images."""
    return Bootstrap(seed=1, n=200 if n > _MANY else 1000)


def kinds_of(truth: Mapping[str, np.ndarray], subsets: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Rows that count for each kind of lens: its lenses and every image that is none.

    Args:
        truth: Label and truth, row by row.
        subsets: Other kinds by their condition, comparisons joined by "and".
    """
    lens = truth["label"] == 1
    kinds = {ALL: np.ones(len(lens), bool), DETECTABLE: ~lens | truth["is_detectable"]}
    for name, condition in subsets.items():
        kinds[name] = ~lens | np.logical_and.reduce(
            [_holds(part, truth) for part in condition.split(" and ")]
        )
    return {name: rows for name, rows in kinds.items() if (lens & rows).any()}


def figures_of(
    scores: np.ndarray, truth: Mapping[str, np.ndarray], subsets: Mapping[str, str]
) -> Figures:
    """Figures of a row.

    Args:
        scores: Logits; NaN where there is none.
        truth: Label and truth of the same images.
        subsets: Kinds of lenses besides all and the detectable ones.
    """
    usable = without_nan(scores)
    auroc, tpr = {}, {}
    for kind, rows in kinds_of(truth, subsets).items():
        label, n_negative = truth["label"][rows], int((truth["label"] == 0).sum())
        metrics: dict[str, Metric] = {"auroc": auroc_of}
        rates = [rate for rate in RATES if refusal(rate, n_negative) is None]
        metrics |= {f"{rate:g}": tpr_at_fpr(rate) for rate in rates}
        found = estimates(metrics, usable[rows], label, bootstrap_for(int(rows.sum())))
        auroc[kind] = found["auroc"]
        tpr |= {(kind, rate): found[f"{rate:g}"] for rate in rates}
    extremes = [over_tenths(metric, usable, truth["label"], seed=1) for metric in (tpr0, tpr10)]
    return Figures(int(np.isnan(scores).sum()), auroc, tpr, *extremes)


def thresholds_of(scores: np.ndarray, truth: Mapping[str, np.ndarray]) -> dict[float, float]:
    """Logit of the threshold of each rate that the negatives of a calibration part support."""
    roc = roc_curve(without_nan(scores), truth["label"])
    n_negative = int((truth["label"] == 0).sum())
    rates = [rate for rate in RATES if refusal(rate, n_negative) is None]
    return {rate: threshold_at_fpr(roc, rate) for rate in rates}


def carried_to(
    scores: np.ndarray, truth: Mapping[str, np.ndarray], rate: float, threshold: float
) -> Carried:
    """What a threshold that was fixed elsewhere gives on these images.

    Args:
        scores: Logits; NaN counts as not found.
        truth: Label and truth of the same images.
        rate: False-positive rate that was stated for it.
        threshold: The threshold.
    """
    found, lens = without_nan(scores) >= threshold, truth["label"] == 1
    tpr = {
        kind: _share(found, rows & lens) for kind, rows in kinds_of(truth, {}).items()
    }  # fmt: skip
    classes = sorted(set(truth["scene_class"][~lens].tolist()))
    by_class = {name: _share(found, ~lens & (truth["scene_class"] == name)) for name in classes}
    return Carried(rate, threshold, _share(found, ~lens), tpr, by_class)


def apart(
    ours: np.ndarray, theirs: np.ndarray, truth: Mapping[str, np.ndarray]
) -> dict[str, Estimate]:
    """Differences of two rows on the same images, first less second, resampled together."""
    label = truth["label"]
    metrics: dict[str, Metric] = {"AUROC": auroc_of}
    for rate in RATES[:2]:
        if refusal(rate, int((label == 0).sum())) is None:
            metrics[f"TPR at {rate:g}"] = tpr_at_fpr(rate)
    pair, how = (without_nan(ours), without_nan(theirs)), bootstrap_for(len(label))
    return {name: paired_difference(metric, pair, label, how) for name, metric in metrics.items()}


def without_nan(scores: np.ndarray) -> np.ndarray:
    """Logits with the lowest of all in place of those that are missing."""
    good = scores[np.isfinite(scores)]
    lowest = float(good.min()) - 1.0 if len(good) else 0.0
    return np.where(np.isfinite(scores), scores, lowest).astype(np.float64)


def _share(found: np.ndarray, rows: np.ndarray) -> Estimate:
    return binomial_estimate(int(found[rows].sum()), int(rows.sum()))


def _holds(comparison: str, truth: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether "column > number" holds, row by row; nothing holds of NaN."""
    name, sign, number = comparison.split()
    if sign != ">":
        raise ValueError(f"condition '{comparison}' is not understood; write 'column > number'.")
    return truth[name] > float(number)
