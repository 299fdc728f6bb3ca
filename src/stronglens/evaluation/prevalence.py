"""What rates mean on the sky, where lenses are rare: purity, candidates per lens, hours of looking.

The rates themselves come from `metrics.py`, `low_rates.py` and `confusion.py`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from stronglens.core.errors import OutOfRangeError
from stronglens.core.seeds import numpy_generator
from stronglens.evaluation.confusion import Confusion
from stronglens.evaluation.estimate import Estimate
from stronglens.evaluation.low_rates import fpr_at_recall
from stronglens.evaluation.metrics import Metric, Roc, binomial_estimate

PER_OBJECTS = 1_000_000
"""Objects of a survey to which lengths of lists and hours refer unless told otherwise."""
_DRAWS = 20_000


@dataclass(frozen=True)
class Sky:
    """Where a list is made, and what looking at it costs."""

    prevalence: float = 1e-3
    """Lenses over all objects."""
    n_objects: int = PER_OBJECTS
    """Objects that are scored."""
    seconds_per_object: float = 5.0
    """Time in which a person judges one candidate [s]."""

    def __post_init__(self) -> None:
        """Refuse what is no sky."""
        if not 0 < self.prevalence < 1:
            raise OutOfRangeError(
                f"prevalence={self.prevalence:g} is no share of lenses. Allowed: (0, 1)."
            )
        if self.n_objects < 1 or self.seconds_per_object < 0:
            raise OutOfRangeError(
                f"n_objects={self.n_objects} and seconds_per_object={self.seconds_per_object:g} "
                "make no list. Allowed: at least 1, and at least 0 s."
            )


@dataclass(frozen=True)
class ListForecast:
    """What a list of candidates will hold, before anybody looks."""

    completeness: Estimate
    """Share of the lenses that the list holds."""
    purity: Estimate
    """Share of the list that are lenses."""
    candidates_per_lens: Estimate
    """Candidates to look at for each lens found."""
    n_candidates: Estimate
    """Length of the list."""
    n_lenses: Estimate
    """Lenses in the list."""
    hours: Estimate
    """Time to look at all of it once [h]."""


Rate = float | Float[np.ndarray, "draw"]


def purity_at(tpr: Rate, fpr: Rate, prevalence: float) -> Float[np.ndarray, "*draw"]:
    """Share of a list that are lenses; NaN where the list is empty.

    Args:
        tpr: True-positive rate.
        fpr: False-positive rate.
        prevalence: Lenses over all objects.

    Reference:
        Metcalf et al. 2019 (A&A 625, A119), section 2: contamination FP / TP is
        (fpr / tpr) (1 - prevalence) / prevalence, and purity 1 / (1 + FP / TP).
    """
    found = np.asarray(prevalence * np.asarray(tpr, float))
    false = np.asarray((1 - prevalence) * np.asarray(fpr, float))
    total = found + false
    return np.where(total > 0, found / np.where(total > 0, total, 1.0), np.nan)


def purity_at_recall(recall: float, prevalence: float) -> Metric:
    """Metric: purity of the shortest list that holds at least such a share of the lenses."""
    rate = fpr_at_recall(recall)

    def metric(roc: Roc) -> float:
        return float(purity_at(recall, rate(roc), prevalence))

    return metric


def candidates_per_lens_at_recall(recall: float, prevalence: float) -> Metric:
    """Metric: candidates to look at for each lens found, with at least that share of lenses."""
    purity = purity_at_recall(recall, prevalence)
    return lambda roc: 1.0 / purity(roc)


def forecast_list(
    counts: Confusion, sky: Sky, *, level: float = 0.95, seed: int = 1
) -> ListForecast:
    """What a list above a threshold will hold on the sky, from the outcomes at that threshold.

    The threshold must have been fixed on other images. Completeness has its exact interval; all
    else is drawn from the rates' posteriors with Jeffreys' prior, so that no false positive among
    n others does not count as none on the sky. Lists are expectations: their own Poisson scatter
    is not in the interval.

    Args:
        counts: Outcomes of a test at the threshold.
        sky: Prevalence, size of the survey and cost of looking.
        level: Probability that an interval holds.
        seed: Seed of the draws.

    Returns:
        The forecast; its values are those of the observed rates, or of the posterior means where
        no false positive was seen.

    Reference:
        Brown, Cai & DasGupta 2001, Statistical Science 16, 101, section 3, for Jeffreys' interval.
    """
    tp, fn = counts.true_positives, counts.false_negatives
    fp, tn = counts.false_positives, counts.true_negatives
    generator = numpy_generator(seed, "list forecast")
    tpr = generator.beta(tp + 0.5, fn + 0.5, _DRAWS)
    fpr = generator.beta(fp + 0.5, tn + 0.5, _DRAWS)
    value_fpr = fp / (fp + tn) if fp else 0.5 / (tn + 1)
    value_tpr = tp / (tp + fn) if tp else 0.5 / (fn + 1)
    drawn = _list_numbers(tpr, fpr, sky)
    values = _list_numbers(np.array([value_tpr]), np.array([value_fpr]), sky)
    tails = [(1 - level) / 2, (1 + level) / 2]
    estimates = {}
    for name, draws in drawn.items():
        low, high = (float(end) for end in np.quantile(draws, tails))
        value = float(values[name][0])
        estimates[name] = Estimate(value, min(low, value), max(high, value))
    return ListForecast(completeness=binomial_estimate(tp, tp + fn, level), **estimates)


def _list_numbers(tpr: np.ndarray, fpr: np.ndarray, sky: Sky) -> dict[str, np.ndarray]:
    """Return what the rates mean for a list."""
    n_lenses = sky.n_objects * sky.prevalence * tpr
    n_candidates = n_lenses + sky.n_objects * (1 - sky.prevalence) * fpr
    purity = purity_at(tpr, fpr, sky.prevalence)
    return {
        "purity": purity,
        "candidates_per_lens": 1.0 / purity,
        "n_candidates": n_candidates,
        "n_lenses": n_lenses,
        "hours": n_candidates * sky.seconds_per_object / 3600.0,
    }
