"""Lists with a promise: "holds at least 95 % of lenses like these", whatever the finder is worth.

The promise is about lenses exchangeable with those of the calibration; nothing else is assumed.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.evaluation.confusion import Confusion
from stronglens.evaluation.estimate import Estimate
from stronglens.evaluation.prevalence import ListForecast, Sky, forecast_list

Logits = Float[np.ndarray, "n"]


@dataclass(frozen=True)
class ConformalList:
    """A threshold with a promise, and what it rests on."""

    promise: float
    """Share of lenses that the list holds at least, on average over calibrations."""
    threshold: float
    """Logits at or above it are in the list."""
    n_positive: int
    """Lenses of the calibration."""
    n_negative: int
    """Others of the calibration."""
    n_false_positive: int
    """Others of the calibration in the list."""
    n_below: int
    """Rank of the threshold among the lenses, from below."""

    def coverage(self, level: float = 0.95) -> Estimate:
        """Share of lenses in the list: what the promise comes to, and its range over calibrations.

        This is for lenses of even weight.

        Args:
            level: Probability that the interval holds.

        Reference:
            Vovk 2012, Conditional validity of inductive conformal predictors, section 2: over
            calibrations the coverage follows a beta distribution.
        """
        law = stats.beta(self.n_positive + 1 - self.n_below, self.n_below)
        low, high = law.ppf([(1 - level) / 2, (1 + level) / 2])
        return Estimate(float(law.mean()), float(low), float(high))

    def length(self, sky: Sky, *, level: float = 0.95) -> ListForecast:
        """How long the list is, and what it holds, at a prevalence."""
        found = self.n_positive - self.n_below + 1
        counts = Confusion(
            threshold=self.threshold,
            true_positives=found,
            false_negatives=self.n_positive - found,
            false_positives=self.n_false_positive,
            true_negatives=self.n_negative - self.n_false_positive,
        )
        return forecast_list(counts, sky, level=level)


def conformal_list(
    lens_logits: Logits,
    other_logits: Float[np.ndarray, "m"],
    promise: float = 0.95,
    *,
    weights: Float[np.ndarray, "n"] | None = None,
) -> ConformalList:
    """Threshold below which at most the promised share of lenses falls.

    With n lenses and k = floor((1 - promise)(n + 1)), the threshold is the k-th smallest logit: a
    further lens is below it with probability at most 1 - promise. Ties can only lengthen the list.

    Args:
        lens_logits: Logits of lenses kept for calibration, in no training and no test.
        other_logits: Logits of others of the same images, for the length of the list.
        promise: Share of lenses that the list shall hold, in (0, 1).
        weights: Density of the lenses meant over that of the lenses given, if they differ. The
            largest weight stands for the unknown weight of a further lens.

    Returns:
        The list's threshold.

    Raises:
        OutOfRangeError: The promise is no share, or too few lenses were given for it.
        WrongShapeError: A logit is not a number, or a weight is not positive.

    Reference:
        Vovk, Gammerman & Shafer 2005, Algorithmic Learning in a Random World, section 4.6, for
        promises by class; Tibshirani et al. 2019, NeurIPS, corollary 1, for weights.
    """
    _check(lens_logits, promise, weights)
    order = np.argsort(lens_logits, kind="stable")
    if weights is None:
        n_below = _n_below(promise, len(lens_logits))
    else:
        share = np.cumsum(weights[order]) / (weights.sum() + weights.max())
        n_below = int(np.searchsorted(share, (1 - promise) * (1 + 1e-12), side="right"))
    if n_below < 1:
        needed = int(np.ceil(1 / (1 - promise) - 1e-9)) - 1
        raise OutOfRangeError(
            f"promise={promise:g} needs at least {needed} lenses of even weight, and there are "
            f"{len(lens_logits)}. Promise less, or calibrate on more lenses."
        )
    threshold = float(lens_logits[order[n_below - 1]])
    return ConformalList(
        promise=promise,
        threshold=threshold,
        n_positive=len(lens_logits),
        n_negative=len(other_logits),
        n_false_positive=int(np.count_nonzero(other_logits >= threshold)),
        n_below=n_below,
    )


def _n_below(promise: float, n: int) -> int:
    """Rank of the threshold among n lenses, from below."""
    return int(np.floor((1 - promise) * (n + 1) * (1 + 1e-12)))


def _check(logits: Logits, promise: float, weights: Float[np.ndarray, "n"] | None) -> None:
    if not 0 < promise < 1:
        raise OutOfRangeError(f"promise={promise:g} is no share of lenses. Allowed: (0, 1).")
    if np.isnan(logits).any():
        raise WrongShapeError("some logits are not numbers. Leave those images out.")
    if weights is not None and not (np.isfinite(weights).all() and (weights > 0).all()):
        raise WrongShapeError("some weights are not above 0. Leave those lenses out.")
