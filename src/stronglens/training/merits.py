"""All figures of merit of one evaluation, with intervals, refusals and what they mean on the sky.

The arithmetic is in `stronglens.evaluation`; scores come from `evaluate.py`.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from stronglens.evaluation.conformal import ConformalList
from stronglens.evaluation.confusion import Confusion, confusion
from stronglens.evaluation.estimate import Estimate
from stronglens.evaluation.low_rates import fpr_at_recall, log_fpr_area
from stronglens.evaluation.metrics import (
    Bootstrap,
    Metric,
    auroc_of,
    binomial_estimate,
    estimates,
    over_tenths,
    refusal,
    roc_curve,
    tpr0,
    tpr10,
    tpr_at_fpr,
)
from stronglens.evaluation.prevalence import (
    Sky,
    candidates_per_lens_at_recall,
    forecast_list,
    purity_at_recall,
)
from stronglens.evaluation.reliability import Reliability, reliability
from stronglens.finders.calibrate import Calibration
from stronglens.training.report import Scored

RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""False-positive rates at which the true-positive rate is stated, if the test set allows."""
AREAS = ((1e-5, 1e-2), (1e-3, 1e-1))
"""Ranges of false-positive rate over whose logarithm the true-positive rate is averaged."""
RECALLS = (0.5, 0.8, 0.9, 0.95)
"""Shares of lenses for which the cost of finding them is stated."""
_FEWEST = 10

INTERVALS = {
    "accuracy": "Clopper-Pearson, threshold fixed at a score of 0.5",
    "accuracy_at_threshold": "Clopper-Pearson, threshold chosen on validation images",
    "p_*": "Clopper-Pearson, threshold fixed at a score of 0.5",
    "called_lens": "Clopper-Pearson, share of each class of scenes above a score of 0.5",
    "auroc, tpr_at_fpr_*, log_fpr_area_*, *_at_recall_*": (
        "percentile bootstrap, lenses and others resampled apart"
    ),
    "tpr0, tpr10": "range over ten disjoint tenths of the negatives, and the value on all of them",
    "list_*": (
        "completeness Clopper-Pearson, the rest from the rates' posteriors with Jeffreys' prior; "
        "thresholds fixed on validation or calibration images"
    ),
    "calibration": "percentile bootstrap, lenses and others resampled apart",
    "selection": "Laplace's method; errors of cells by two halves of the lenses",
}


@dataclass(frozen=True)
class Merits:
    """Numbers, and why others are not stated."""

    values: dict[str, Estimate]
    """Figures with intervals."""
    facts: dict[str, Any]
    """Records of several figures each."""
    refused: dict[str, str]
    """Reason by the name of a figure that is not stated."""


def merits(good: Scored, how: Bootstrap, sky: Sky) -> Merits:
    """Every figure of merit of scores that are numbers.

    Args:
        good: Images with a score.
        how: How intervals are drawn.
        sky: Prevalence and cost of looking.

    Returns:
        The figures; confusion matrices and lists among the facts.
    """
    scores, labels = good.logits, good.labels
    n_negative = int((labels == 0).sum())
    drawn, refused = _metrics_to_draw(good, sky, n_negative)
    values = estimates(drawn, scores, labels, how)
    fixed = confusion(good.scores, labels, 0.5)
    extremes = {
        name: over_tenths(metric, scores, labels, seed=how.seed)
        for name, metric in (("tpr0", tpr0), ("tpr10", tpr10))
    }
    chosen = confusion(good.scores, labels, good.threshold)
    facts = {
        "confusion": asdict(fixed),
        "confusion_at_threshold": asdict(chosen),
        "accuracy_at_threshold": asdict(chosen.rates(how.level)["accuracy"]),
        "threshold": good.threshold,
        "called_lens": called_by_class(good, how.level),
        "sky": asdict(sky),
        "list_at_threshold": _list_facts(chosen, sky, how),
    }
    return Merits({**fixed.rates(how.level), **values, **extremes}, facts, refused)


def calibrated_merits(
    good: Scored, how: Bootstrap, sky: Sky, record: dict[str, Any], checked: Reliability
) -> Merits:
    """What a finder's calibration promised, and what came of it on the test images.

    Args:
        good: Images with a score.
        how: How intervals are drawn.
        sky: Prevalence and cost of looking.
        record: The finder's calibration.
        checked: Reliability of its probabilities on the test images.

    Returns:
        Coverage of its lists, rates at its thresholds and reliability, among the facts.
    """
    logits, labels = good.logits.astype(np.float64), good.labels
    names = {f.name for f in fields(ConformalList)}
    lists = {}
    for entry in record.get("lists", ()):
        promised = ConformalList(**{k: v for k, v in entry.items() if k in names})
        counts = _counts_from(logits, labels, promised.threshold)
        lists[f"{promised.promise:g}"] = {
            "promise": promised.promise,
            "coverage": _rate(counts.true_positives, counts.false_negatives, how.level),
            **_list_facts(counts, sky, how),
        }
    rates = {}
    for rate, threshold in record.get("thresholds", {}).items():
        counts = _counts_from(logits, labels, float(threshold))
        rates[rate] = {
            "tpr": _rate(counts.true_positives, counts.false_negatives, how.level),
            "fpr": _rate(counts.false_positives, counts.true_negatives, how.level),
            "logit": float(threshold),
        }
    facts = {
        "conformal": lists,
        "rates_at_calibrated_thresholds": rates,
        "calibration": {**asdict(checked), "rows": record.get("rows", "")},
    }
    return Merits({}, facts, {})


def checked_reliability(
    good: Scored, how: Bootstrap, sky: Sky, record: dict[str, Any]
) -> Reliability:
    """Reliability of a finder's probabilities on test images."""
    log_odds = Calibration.from_record(record).log_odds(good.logits, sky.prevalence)
    few = Bootstrap(how.seed, min(how.n, 200), how.level)
    return reliability(log_odds, good.labels, prevalence=sky.prevalence, bootstrap=few)


def called_by_class(good: Scored, level: float) -> dict[str, dict[str, float]]:
    """Share of each class of scenes that is called a lens, groups among them."""
    kinds = good.truth.get("scene_class", np.empty(0))
    called = good.scores >= 0.5
    shares = {}
    for kind in sorted(set(kinds)):
        rows = kinds == kind
        share = binomial_estimate(int(called[rows].sum()), int(rows.sum()), level)
        shares[str(kind)] = {**asdict(share), "n": int(rows.sum())}
    return shares


def _metrics_to_draw(
    good: Scored, sky: Sky, n_negative: int
) -> tuple[dict[str, Metric], dict[str, str]]:
    """Return the metrics that the negatives support, and why the others are refused."""
    drawn: dict[str, Metric] = {"auroc": auroc_of}
    reasons: dict[str, str | None] = {}
    for rate in RATES:
        name = f"tpr_at_fpr_{rate:g}"
        reasons[name] = refusal(rate, n_negative)
        drawn[name] = tpr_at_fpr(rate)
    for lowest, highest in AREAS:
        name = f"log_fpr_area_{lowest:g}_to_{highest:g}"
        reasons[name] = refusal(lowest, n_negative)
        drawn[name] = log_fpr_area(lowest, highest)
    curve = roc_curve(good.logits, good.labels)
    for recall in RECALLS:
        n_false = fpr_at_recall(recall)(curve) * n_negative
        reason = None if n_false >= _FEWEST else _too_pure(recall, round(n_false), n_negative)
        costs = {
            "purity": purity_at_recall(recall, sky.prevalence),
            "candidates_per_lens": candidates_per_lens_at_recall(recall, sky.prevalence),
        }
        for kind, metric in costs.items():
            reasons[f"{kind}_at_recall_{recall:g}"] = reason
            drawn[f"{kind}_at_recall_{recall:g}"] = metric
    refused = {name: reason for name, reason in reasons.items() if reason is not None}
    return {name: m for name, m in drawn.items() if name not in refused}, refused


def _too_pure(recall: float, n_false: int, n_negative: int) -> str:
    return (
        f"{n_false} of {n_negative} negatives are above the threshold at which {recall:.0%} of the "
        f"lenses are found; {_FEWEST} are needed, so use more negatives"
    )


def _counts_from(logits: np.ndarray, labels: np.ndarray, threshold: float) -> Confusion:
    """Count outcomes where a logit at the threshold is in the list."""
    return confusion(logits, labels, float(np.nextafter(threshold, -np.inf)))


def _rate(yes: int, no: int, level: float) -> dict[str, float]:
    return asdict(binomial_estimate(yes, yes + no, level))


def _list_facts(counts: Confusion, sky: Sky, how: Bootstrap) -> dict[str, Any]:
    forecast = forecast_list(counts, sky, level=how.level, seed=how.seed)
    rates = {
        "tpr": _rate(counts.true_positives, counts.false_negatives, how.level),
        "fpr": _rate(counts.false_positives, counts.true_negatives, how.level),
    }
    return {**rates, **asdict(forecast)}
