"""How members of a committee are weighed, from their log-odds on images they did not learn from.

What a combination does with log-odds is in `stronglens.finders.members`.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression

from stronglens.core.errors import unknown_name
from stronglens.evaluation.low_rates import log_fpr_area
from stronglens.evaluation.metrics import FEWEST_FALSE_POSITIVES, Labels, Metric, roc_curve
from stronglens.finders.members import Combination

MethodName = Literal["log-odds", "mean", "median", "stacking", "greedy"]
LogOdds = Float[np.ndarray, "member n"]
_MOST_ROUNDS = 30
_LOWEST_RATE = 1e-5
_HIGHEST_RATE = 1e-2


def rare_area(n_negative: int) -> Metric:
    """Metric: mean true-positive rate in log rate up to 1e-2, as low as the negatives support.

    It begins where a rate holds ten false positives, at 1e-5 at the lowest; where 1e-2 itself holds
    fewer than a hundred, it ends ten times higher than it begins.

    Args:
        n_negative: Number of negatives.
    """
    lowest = min(max(FEWEST_FALSE_POSITIVES / max(n_negative, 1), _LOWEST_RATE), 0.1)
    return log_fpr_area(lowest, max(_HIGHEST_RATE, 10 * lowest))


def combined(combination: Combination, log_odds: LogOdds) -> Float[np.ndarray, "n"]:
    """Log-odds of the committee from those of its members."""
    return combination(torch.from_numpy(np.asarray(log_odds, np.float64))).numpy()


def fit_combination(method: str, log_odds: LogOdds, labels: Labels) -> Combination:
    """Find how members are combined.

    Args:
        method: log-odds: their mean, which ranks as the product of the members' odds does; mean of
            the probabilities; median of the log-odds; stacking: a logistic regression on them;
            greedy: members are added one by one, again and again, while the ranking gets better.
        log_odds: Calibrated log-odds of each member on images of the validation split.
        labels: 1 for lenses, 0 for others.

    Returns:
        The combination.

    Raises:
        UnknownNameError: There is no such method.

    Reference:
        Holloway et al. 2024 (arXiv 2311.07455) for products of calibrated odds; Wolpert 1992,
        Neural Networks 5, 241, for stacking; Caruana et al. 2004, ICML, for greedy selection.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    return METHODS[method](log_odds, np.asarray(labels))


def _mean_log_odds(log_odds: LogOdds, _labels: np.ndarray) -> Combination:
    return Combination("sum", (1 / len(log_odds),) * len(log_odds))


def _mean_probability(log_odds: LogOdds, _labels: np.ndarray) -> Combination:
    return Combination("probability", (1 / len(log_odds),) * len(log_odds))


def _median(log_odds: LogOdds, _labels: np.ndarray) -> Combination:
    return Combination("median", (1.0,) * len(log_odds))


def _stacking(log_odds: LogOdds, labels: np.ndarray) -> Combination:
    """Wolpert 1992; a weak prior about 0 keeps members that are nearly alike from cancelling."""
    found = LogisticRegression(C=1.0, max_iter=1000).fit(log_odds.T, labels == 1)
    weights = tuple(float(weight) for weight in found.coef_[0])
    return Combination("sum", weights, float(found.intercept_[0]))


def _greedy(log_odds: LogOdds, labels: np.ndarray) -> Combination:
    """Caruana et al. 2004, section 2: with repetition; of equal sets the smallest is kept."""
    metric = rare_area(int((labels != 1).sum()))
    counts, best_counts, best = np.zeros(len(log_odds)), np.zeros(len(log_odds)), -1.0
    for _ in range(_MOST_ROUNDS):
        values = [metric(roc_curve(counts @ log_odds + one, labels)) for one in log_odds]
        counts[int(np.argmax(values))] += 1
        if max(values) > best + 1e-12:
            best, best_counts = max(values), counts.copy()
    return Combination("sum", tuple(float(w) for w in best_counts / best_counts.sum()))


METHODS: dict[str, Callable[[LogOdds, np.ndarray], Combination]] = {
    "log-odds": _mean_log_odds,
    "mean": _mean_probability,
    "median": _median,
    "stacking": _stacking,
    "greedy": _greedy,
}
"""Ways of combining by name."""
