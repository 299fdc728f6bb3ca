"""Figures of merit of scores against labels, each with its interval.

An image counts as found if its score is above the threshold. Intervals at a threshold fixed
beforehand are exact binomial ones; all others come from a bootstrap that draws lenses and others
apart, so that their numbers stay. Nothing here draws or loads anything.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.core.seeds import numpy_generator
from stronglens.evaluation.estimate import Estimate

Scores = Float[np.ndarray, "n"]
# an axis of their own, so that a wrong number of labels gets the message of check_labels
Labels = Int[np.ndarray, "label"] | Float[np.ndarray, "label"] | Bool[np.ndarray, "label"]

FEWEST_FALSE_POSITIVES = 10
"""A false-positive rate is stated only if the test set would hold so many at that rate."""
N_TENTHS = 10


@dataclass(frozen=True)
class Roc:
    """True- and false-positive counts as the threshold falls; the first point is (0, 0)."""

    thresholds: Float[np.ndarray, "point"]
    """Images with at least this score count as found; infinite at the first point."""
    true_positives: Float[np.ndarray, "point"]
    """Lenses found."""
    false_positives: Float[np.ndarray, "point"]
    """Others found."""

    @property
    def tpr(self) -> Float[np.ndarray, "point"]:
        """True-positive rate."""
        return self.true_positives / self.true_positives[-1]

    @property
    def fpr(self) -> Float[np.ndarray, "point"]:
        """False-positive rate."""
        return self.false_positives / self.false_positives[-1]


Metric = Callable[[Roc], float]


def roc_curve(scores: Scores, labels: Labels) -> Roc:
    """Receiver operating characteristic; images of equal score enter together.

    Args:
        scores: Scores or logits, higher for lenses.
        labels: 1 for lenses, 0 for others.

    Returns:
        One point per distinct score, from the strictest threshold on.

    Raises:
        WrongShapeError: Lengths differ, a class is missing, or a score is not a number.
    """
    positive = check_labels(scores, labels)
    values, group = np.unique(scores, return_inverse=True)
    n = len(values)
    found = np.bincount(group, weights=positive, minlength=n)[::-1].cumsum()
    false = np.bincount(group, weights=~positive, minlength=n)[::-1].cumsum()
    return Roc(
        np.concatenate([[np.inf], values[::-1].astype(float)]),
        np.concatenate([[0.0], found]),
        np.concatenate([[0.0], false]),
    )


def check_labels(scores: Scores, labels: Labels) -> Bool[np.ndarray, "n"]:
    """Labels as booleans, after making sure that they can be compared with the scores."""
    if scores.shape != labels.shape:
        raise WrongShapeError(
            f"{len(scores)} scores and {len(labels)} labels. Pass one label for each score."
        )
    positive = np.asarray(labels) == 1
    if np.isnan(scores).any():
        raise WrongShapeError("some scores are not numbers. Leave those images out.")
    if positive.all() or not positive.any():
        raise WrongShapeError(
            f"{int(positive.sum())} lenses among {len(labels)} images. Both classes are needed."
        )
    return positive


def auroc_of(roc: Roc) -> float:
    """Area under a ROC curve: the chance that a lens scores above another, ties counting half."""
    return float(np.trapezoid(roc.tpr, roc.fpr))


def tpr_at(n_false_positive: int) -> Metric:
    """Metric: highest true-positive rate with at most so many false positives.

    Reference:
        Metcalf et al. 2019 (A&A 625, A119): their TPR0 allows none, their TPR10 fewer than ten.
    """

    def metric(roc: Roc) -> float:
        allowed = roc.false_positives <= n_false_positive
        return float(roc.tpr[np.flatnonzero(allowed)[-1]])

    return metric


tpr0 = tpr_at(0)
"""Highest true-positive rate before the first false positive."""
tpr10 = tpr_at(9)
"""Highest true-positive rate with fewer than ten false positives."""


def tpr_at_fpr(rate: float) -> Metric:
    """Metric: highest true-positive rate at a false-positive rate of at most `rate`."""

    def metric(roc: Roc) -> float:
        allowed = roc.fpr <= rate * (1 + 1e-12)
        return float(roc.tpr[np.flatnonzero(allowed)[-1]])

    return metric


def accuracy_at(threshold: float) -> Metric:
    """Metric: fraction classified rightly if scores above the threshold count as lenses."""

    def metric(roc: Roc) -> float:
        # thresholds fall, so the points above the threshold come first
        i = int(np.count_nonzero(roc.thresholds > threshold)) - 1
        n_positive, n_negative = roc.true_positives[-1], roc.false_positives[-1]
        right = roc.true_positives[i] + n_negative - roc.false_positives[i]
        return float(right / (n_positive + n_negative))

    return metric


def refusal(rate: float, n_negative: int) -> str | None:
    """Why a false-positive rate cannot be stated with so many negatives, or None if it can."""
    if rate * n_negative >= FEWEST_FALSE_POSITIVES:
        return None
    needed = int(np.ceil(FEWEST_FALSE_POSITIVES / rate))
    return (
        f"{n_negative} negatives hold {rate * n_negative:g} false positives at a rate of {rate:g}; "
        f"{FEWEST_FALSE_POSITIVES} are needed, so use at least {needed} negatives"
    )


def best_threshold(scores: Scores, labels: Labels) -> float:
    """Threshold of the highest accuracy, halfway between two scores; nearest to 0.5 of several.

    Args:
        scores: Scores between 0 and 1 of images kept for choosing, such as the validation split.
        labels: 1 for lenses, 0 for others.

    Returns:
        The threshold.
    """
    roc = roc_curve(scores, labels)
    right = roc.true_positives - roc.false_positives
    upper = np.minimum(roc.thresholds, 1.0)
    halfway = 0.5 * (upper + np.concatenate([roc.thresholds[1:], [0.0]]))
    candidates = halfway[right == right.max()]
    return float(candidates[np.argmin(np.abs(candidates - 0.5))])


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are drawn."""

    seed: int = 1
    """Seed of the resampling."""
    n: int = 1000
    """Number of resamplings."""
    level: float = 0.95
    """Probability that an interval holds."""


def estimate(
    metric: Metric, scores: Scores, labels: Labels, bootstrap: Bootstrap | None = None
) -> Estimate:
    """Value of a metric with its percentile-bootstrap interval.

    Args:
        metric: What to compute from a ROC curve.
        scores: Scores or logits.
        labels: 1 for lenses, 0 for others.
        bootstrap: How to resample.

    Returns:
        The value on all images, and the interval.

    Reference:
        Efron & Tibshirani 1993, An Introduction to the Bootstrap, section 13.3.
    """
    return estimates({"metric": metric}, scores, labels, bootstrap)["metric"]


def estimates(
    metrics: dict[str, Metric], scores: Scores, labels: Labels, bootstrap: Bootstrap | None = None
) -> dict[str, Estimate]:
    """Values of several metrics, with intervals from one set of resamplings."""
    how = bootstrap or Bootstrap()
    check_labels(scores, labels)
    values = {name: metric(roc_curve(scores, labels)) for name, metric in metrics.items()}
    drawn: dict[str, list[float]] = {name: [] for name in metrics}
    for rows in _resamplings(labels, how):
        roc = roc_curve(scores[rows], labels[rows])
        for name, metric in metrics.items():
            drawn[name].append(metric(roc))
    return {name: _interval(values[name], drawn[name], how.level) for name in metrics}


def paired_difference(
    metric: Metric,
    scores: tuple[Scores, Scores],
    labels: Labels,
    bootstrap: Bootstrap | None = None,
) -> Estimate:
    """Difference of a metric between two finders on the same images.

    Both are resampled together, so that what the images have in common cancels.

    Args:
        metric: What to compare.
        scores: Scores of the first and of the second finder.
        labels: 1 for lenses, 0 for others.
        bootstrap: How to resample.

    Returns:
        First minus second, with its interval.
    """
    how = bootstrap or Bootstrap()
    first, second = scores

    def difference(rows: np.ndarray) -> float:
        return metric(roc_curve(first[rows], labels[rows])) - metric(
            roc_curve(second[rows], labels[rows])
        )

    drawn = [difference(rows) for rows in _resamplings(labels, how)]
    return _interval(difference(np.arange(len(labels))), drawn, how.level)


def over_tenths(metric: Metric, scores: Scores, labels: Labels, *, seed: int) -> Estimate:
    """Value of a metric, with its range over ten disjoint tenths of the negatives.

    For metrics that hang on the few highest negatives, where a bootstrap fails. A tenth of the
    negatives makes such a metric easier, so the range tends to lie above the value.

    Args:
        metric: What to compute from a ROC curve.
        scores: Scores or logits.
        labels: 1 for lenses, 0 for others.
        seed: Seed of the partition.

    Returns:
        The value on all images; low and high are the extremes of the tenths and the value.
    """
    positive = check_labels(scores, labels)
    value = metric(roc_curve(scores, labels))
    negatives = numpy_generator(seed, "tenths").permutation(np.flatnonzero(~positive))
    parts = [part for part in np.array_split(negatives, N_TENTHS) if len(part)]
    lenses = np.flatnonzero(positive)
    rows = [np.concatenate([lenses, part]) for part in parts]
    seen = [value, *(metric(roc_curve(scores[r], labels[r])) for r in rows)]
    return Estimate(value, min(seen), max(seen))


def roc_band(
    scores: Scores,
    labels: Labels,
    fpr: Float[np.ndarray, "point"],
    bootstrap: Bootstrap | None = None,
) -> Float[np.ndarray, "3 point"]:
    """True-positive rates on a grid of false-positive rates, with their interval.

    Args:
        scores: Scores or logits.
        labels: 1 for lenses, 0 for others.
        fpr: False-positive rates, rising.
        bootstrap: How to resample.

    Returns:
        Value, low and high of the true-positive rate at each point.
    """
    how = bootstrap or Bootstrap()

    def on_grid(curve: Roc) -> np.ndarray:
        last = np.searchsorted(curve.fpr, fpr * (1 + 1e-12), side="right") - 1
        return curve.tpr[last]

    drawn = [on_grid(roc_curve(scores[rows], labels[rows])) for rows in _resamplings(labels, how)]
    tails = [(1 - how.level) / 2, (1 + how.level) / 2]
    return np.vstack([on_grid(roc_curve(scores, labels)), np.quantile(drawn, tails, axis=0)])


def binomial_estimate(n_success: int, n: int, level: float = 0.95) -> Estimate:
    """Rate of successes with its exact interval, for a threshold fixed beforehand.

    Args:
        n_success: Number of successes.
        n: Number of tries, at least 1.
        level: Probability that the interval holds.

    Returns:
        The rate.

    Reference:
        Clopper & Pearson 1934, Biometrika 26, 404.
    """
    if not 0 <= n_success <= n or n < 1:
        raise OutOfRangeError(f"{n_success} successes of {n} tries are no rate.")
    interval = stats.binomtest(n_success, n).proportion_ci(level, method="exact")
    return Estimate(n_success / n, float(interval.low), float(interval.high))


def _resamplings(labels: Labels, how: Bootstrap) -> Iterator[Int[np.ndarray, "n"]]:
    """Yield the rows of each resampling: as many lenses and as many others as there are."""
    generator = numpy_generator(how.seed, "bootstrap")
    classes = [np.flatnonzero(np.asarray(labels) == 1), np.flatnonzero(np.asarray(labels) != 1)]
    for _ in range(how.n):
        drawn = [rows[generator.integers(len(rows), size=len(rows))] for rows in classes]
        yield np.concatenate(drawn)


def _interval(value: float, drawn: list[float], level: float) -> Estimate:
    """Percentile interval of resampled values."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high))
