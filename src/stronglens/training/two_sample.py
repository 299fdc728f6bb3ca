"""How well a classifier tells two samples apart by their features: 0.5 where it cannot.

The features are those of `stronglens.evaluation.two_sample`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from stronglens.core.errors import WrongShapeError
from stronglens.core.seeds import derived_seed, numpy_generator
from stronglens.evaluation.estimate import Estimate
from stronglens.evaluation.metrics import auroc_of, roc_curve
from stronglens.evaluation.two_sample import Features

_TREES = 200
_LEAF = 3
_SHRINKAGE = 0.1  # of the logistic regression: dozens of features, hundreds of images
_RESAMPLINGS = 1000
_LEVEL = 0.95

Folds = Int[np.ndarray, "n"]


@dataclass(frozen=True)
class TwoSample:
    """How unlike two samples are."""

    auroc: Estimate
    """Area under the ROC curve on folds not trained on, with its 95 % interval."""
    n_first: int
    """Images of the first sample."""
    n_second: int
    """Images of the second sample."""
    importance: dict[str, float]
    """What the area loses where one feature is shuffled, largest first."""
    single: dict[str, float]
    """Chance that a feature is larger in the second sample than in the first, farthest from a half
    first."""


def two_sample_auroc(
    first: Features, second: Features, folds: tuple[Folds, Folds], seed: int
) -> TwoSample:
    """Cross-validated AUROC of telling the second sample from the first.

    The score is the mean probability of a logistic regression and of a random forest. Each fold is
    scored by what was trained on all others, and images are compared within their fold only, so
    that folds of different mean do not count. The interval is from resampled images of each fold
    and sample.

    Args:
        first: Features of the first sample.
        second: The same features of the second sample.
        folds: Number of the fold of every image, of both samples: parts of the sky that share
            nothing.
        seed: Seed of forest, shuffles and resamplings.

    Raises:
        WrongShapeError: Features or lengths differ, or fewer than two folds hold both samples.

    Reference:
        Lopez-Paz & Oquab 2017, Revisiting classifier two-sample tests, ICLR, section 3.
    """
    names = sorted(first)
    table = np.concatenate([_table(first, names, folds[0]), _table(second, names, folds[1])])
    label = np.repeat([0, 1], [len(folds[0]), len(folds[1])])
    fold = np.concatenate(folds)
    parts = list(_parts(fold, label))
    fitted = [_fitted(table[~rows], label[~rows], seed) for rows in parts]
    tested = [
        _Tested(table[rows], label[rows], one) for rows, one in zip(parts, fitted, strict=True)
    ]
    value = _mean_auroc(tested, [one.score(one.table) for one in tested])
    used = np.logical_or.reduce(parts)
    return TwoSample(
        auroc=_with_interval(value, tested, seed),
        n_first=int((label[used] == 0).sum()),
        n_second=int((label[used] == 1).sum()),
        importance=_importance(names, tested, value, seed),
        single=_single(names, table[used], label[used]),
    )


@dataclass(frozen=True, eq=False)
class _Tested:
    """A fold and the classifiers that have not seen it."""

    table: Float[np.ndarray, "n feature"]
    label: Int[np.ndarray, "n"]
    classifiers: tuple[Pipeline, Pipeline]

    def score(self, table: np.ndarray) -> Float[np.ndarray, "n"]:
        """Mean probability of the second sample."""
        return np.mean([one.predict_proba(table)[:, 1] for one in self.classifiers], axis=0)


def _table(columns: Features, names: list[str], fold: Folds) -> Float[np.ndarray, "n feature"]:
    if sorted(columns) != names or any(len(columns[name]) != len(fold) for name in names):
        raise WrongShapeError(
            f"features {sorted(columns)} of {len(fold)} images do not fit {names}. Both samples "
            "have the same features, and one value of each and one fold an image."
        )
    values = np.stack([columns[name] for name in names], axis=1)
    return np.where(np.isfinite(values), values, np.nan)


def _parts(fold: Folds, label: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows of each fold that can be tested."""
    numbers = [k for k in np.unique(fold) if len(np.unique(label[fold == k])) == 2]
    if len(numbers) < 2:
        raise WrongShapeError(
            f"{len(numbers)} folds hold images of both samples; at least 2 must. Use fewer folds, "
            "or numbers that both samples share."
        )
    for number in numbers:
        yield fold == number


def _fitted(table: np.ndarray, label: np.ndarray, seed: int) -> tuple[Pipeline, Pipeline]:
    state = derived_seed(seed, "two samples") % 2**32
    linear = LogisticRegression(C=_SHRINKAGE, max_iter=2000, class_weight="balanced")
    forest = RandomForestClassifier(
        _TREES, min_samples_leaf=_LEAF, class_weight="balanced", random_state=state
    )
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    both = (
        make_pipeline(imputer, StandardScaler(), linear),
        make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), forest),
    )
    return both[0].fit(table, label), both[1].fit(table, label)


def _mean_auroc(tested: list[_Tested], scores: list[np.ndarray]) -> float:
    """Mean over folds, each with the weight of the pairs that it compares."""
    pairs = [float((one.label == 1).sum() * (one.label == 0).sum()) for one in tested]
    areas = [
        auroc_of(roc_curve(score, one.label)) for one, score in zip(tested, scores, strict=True)
    ]
    return float(np.average(areas, weights=pairs))


def _with_interval(value: float, tested: list[_Tested], seed: int) -> Estimate:
    """Percentile interval from images drawn again within each fold and sample."""
    generator = numpy_generator(seed, "two samples", "bootstrap")
    scores = [one.score(one.table) for one in tested]
    samples = [[np.flatnonzero(one.label == k) for k in (0, 1)] for one in tested]
    drawn = []
    for _ in range(_RESAMPLINGS):
        rows = [np.concatenate([generator.choice(s, len(s)) for s in both]) for both in samples]
        again = [score[row] for score, row in zip(scores, rows, strict=True)]
        drawn.append(_mean_auroc(tested, again))
    low, high = np.quantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def _importance(
    names: list[str], tested: list[_Tested], value: float, seed: int
) -> dict[str, float]:
    """Loss of area with each feature shuffled within its fold.

    Reference:
        Breiman 2001, Machine Learning 45, 5, section 10.
    """
    generator = numpy_generator(seed, "two samples", "shuffle")
    losses = {}
    for column, name in enumerate(names):
        scores = []
        for one in tested:
            shuffled = one.table.copy()
            shuffled[:, column] = generator.permutation(shuffled[:, column])
            scores.append(one.score(shuffled))
        losses[name] = value - _mean_auroc(tested, scores)
    return dict(sorted(losses.items(), key=lambda item: -item[1]))


def _single(names: list[str], table: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """AUROC of each feature by itself, images without it left out."""
    areas = {}
    for values, name in zip(table.T, names, strict=True):
        known = np.isfinite(values)
        if len(np.unique(label[known])) == 2:
            areas[name] = auroc_of(roc_curve(values[known], label[known]))
    return dict(sorted(areas.items(), key=lambda item: -abs(item[1] - 0.5)))
