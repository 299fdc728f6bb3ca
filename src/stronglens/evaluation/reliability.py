"""Whether probabilities hold: slope and intercept of the logit, predicted over true numbers.

Making probabilities of scores is in `stronglens.finders.calibration`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from stronglens.core.errors import WrongShapeError
from stronglens.core.seeds import numpy_generator
from stronglens.evaluation.estimate import Estimate
from stronglens.evaluation.metrics import Bootstrap, Labels, check_labels

FEWEST_IN_BIN = 30
"""Lenses from which on a bin's predicted over true number is stated."""
FEWEST_OTHERS_IN_BIN = 10
"""Others that it needs besides: with none seen, nobody knows how many the sky has."""
_RIDGE = 1e-3
_ITERATIONS = 50

LogOdds = Float[np.ndarray, "n"]


@dataclass(frozen=True)
class ReliabilityBin:
    """Images of similar log-odds, weighted to the prevalence."""

    log_odds: float
    """Log-odds of the predicted share."""
    predicted: float
    """Predicted share of lenses."""
    observed: Estimate
    """True share of lenses."""
    ratio: Estimate | None
    """Predicted over true number of lenses; None with fewer than 30 of them or 10 others."""
    n_positive: int
    """Lenses in the bin."""
    n_negative: int
    """Others in the bin."""


@dataclass(frozen=True)
class Reliability:
    """How well predicted probabilities hold at a prevalence."""

    prevalence: float
    """Lenses over all objects for which the probabilities are meant."""
    slope: Estimate
    """Slope of the true log-odds against the predicted ones; below 1 for overconfidence."""
    intercept: Estimate
    """True minus predicted log-odds, with the slope held at 1."""
    intercept_joint: Estimate
    """True log-odds where 0 is predicted, with the slope free."""
    calibration_error: float
    """Mean distance of predicted and true share over bins, weighted to the prevalence."""
    bins: tuple[ReliabilityBin, ...]
    """From the lowest to the highest log-odds."""


def reliability(
    log_odds: LogOdds,
    labels: Labels,
    *,
    prevalence: float,
    n_bins: int = 10,
    bootstrap: Bootstrap | None = None,
) -> Reliability:
    """Compare predicted log-odds for a prevalence with labels of a test set of any mixture.

    Lenses and others of the test set stand for those of the sky, in other numbers. Slope and
    intercept come from a logistic regression with the change of prior as an offset, which needs no
    weights; shares and ratios from counts weighted to the prevalence. Bins hold equal numbers of
    lenses, since all that matters lies where lenses are.

    Args:
        log_odds: Predicted log-odds of being a lens at the prevalence.
        labels: 1 for lenses, 0 for others.
        prevalence: Lenses over all objects.
        n_bins: Number of bins; ties can make them fewer.
        bootstrap: How intervals are drawn, lenses and others apart.

    Returns:
        The comparison.

    Raises:
        WrongShapeError: Lengths differ, a class is missing, or a number is not finite.

    Reference:
        Cox 1958, Biometrika 45, 562, for slope and intercept; Prentice & Pyke 1979, Biometrika 66,
        403, for logistic regression on samples whose classes were drawn apart.
    """
    lens = check_labels(log_odds, labels)
    if not np.isfinite(log_odds).all():
        raise WrongShapeError("some log-odds are infinite. Clip them to what the data support.")
    how = bootstrap or Bootstrap(n=200)
    edges = _edges(log_odds[lens], n_bins)
    place = np.searchsorted(edges, log_odds, side="right")
    value = _Figures.of(log_odds, lens, place, len(edges) + 1, prevalence)
    drawn = [
        _Figures.of(log_odds[rows], lens[rows], place[rows], len(edges) + 1, prevalence)
        for rows in _resampled(lens, how)
    ]
    bins = [_bin(value, drawn, k, how.level) for k in range(len(edges) + 1)]
    weight = value.weight_lens + value.weight_other
    distance = np.abs(value.predicted - value.weight_lens) / np.maximum(weight, 1e-300)
    return Reliability(
        prevalence=prevalence,
        slope=_interval(value.slope, [d.slope for d in drawn], how.level),
        intercept=_interval(value.intercept, [d.intercept for d in drawn], how.level),
        intercept_joint=_interval(value.joint, [d.joint for d in drawn], how.level),
        calibration_error=float((distance * weight).sum() / weight.sum()),
        bins=tuple(b for b in bins if b is not None),
    )


@dataclass(frozen=True)
class _Figures:
    """Everything that is resampled; weights and predictions are one number a bin."""

    slope: float
    intercept: float
    joint: float
    weight_lens: Float[np.ndarray, "bin"]
    weight_other: Float[np.ndarray, "bin"]
    predicted: Float[np.ndarray, "bin"]
    n_lens: Float[np.ndarray, "bin"]
    n_other: Float[np.ndarray, "bin"]

    @classmethod
    def of(
        cls,
        log_odds: LogOdds,
        lens: Bool[np.ndarray, "n"],
        place: np.ndarray,
        n_bins: int,
        prevalence: float,
    ) -> "_Figures":
        weight = np.where(lens, prevalence / lens.sum(), (1 - prevalence) / (~lens).sum())
        probability = special.expit(log_odds)

        def total(values: np.ndarray) -> np.ndarray:
            return np.bincount(place, weights=values, minlength=n_bins).astype(float)

        slope, joint, intercept = logit_line(log_odds, lens, prevalence)
        return cls(
            slope=slope,
            intercept=intercept,
            joint=joint,
            weight_lens=total(weight * lens),
            weight_other=total(weight * ~lens),
            predicted=total(weight * probability),
            n_lens=total(lens.astype(float)),
            n_other=total((~lens).astype(float)),
        )


def logit_line(log_odds: LogOdds, labels: Labels, prevalence: float) -> tuple[float, float, float]:
    """Slope and intercept of the true log-odds against those predicted for a prevalence.

    Args:
        log_odds: Predicted log-odds at the prevalence.
        labels: 1 for lenses, 0 for others.
        prevalence: Lenses over all objects.

    Returns:
        Slope; intercept with that slope; intercept with a slope of 1.
    """
    lens = check_labels(log_odds, labels)
    share = lens.mean()
    shift = float(special.logit(share) - special.logit(prevalence))

    line = _newton(np.stack([log_odds, np.ones(len(lens))]), shift + np.zeros(len(lens)), lens)
    fixed = _newton(np.ones((1, len(lens))), log_odds + shift, lens)
    return float(line[0]), float(line[1]), float(fixed[0])


def _newton(
    terms: Float[np.ndarray, "term n"], offset: Float[np.ndarray, "n"], lens: Bool[np.ndarray, "n"]
) -> Float[np.ndarray, "term"]:
    """Coefficients of a logistic regression; a ridge too small to matter bounds them."""

    def loss(values: np.ndarray) -> float:
        eta = values @ terms + offset
        log_loss = (np.logaddexp(0.0, eta) - lens * eta).sum()
        return float(log_loss) + 0.5 * _RIDGE * float(values @ values)

    values = np.zeros(len(terms))
    values[0] = 1.0 if len(terms) > 1 else 0.0
    now = loss(values)
    for _ in range(_ITERATIONS):
        p = special.expit(values @ terms + offset)
        slope = terms @ (lens - p) - _RIDGE * values
        curvature = (terms * (p * (1 - p))) @ terms.T + _RIDGE * np.eye(len(terms))
        step = np.linalg.solve(curvature, slope)
        while loss(values + step) > now and np.abs(step).max() > 1e-9:
            step = 0.5 * step
        values, before, now = values + step, now, loss(values + step)
        if before - now < 1e-9 * (1 + abs(now)):
            break
    return values


def _edges(lens_log_odds: np.ndarray, n_bins: int) -> Float[np.ndarray, "edge"]:
    """Inner edges of bins with equal numbers of lenses."""
    return np.unique(np.quantile(lens_log_odds, np.arange(1, n_bins) / n_bins))


def _resampled(lens: Bool[np.ndarray, "n"], how: Bootstrap) -> list[np.ndarray]:
    generator = numpy_generator(how.seed, "reliability")
    classes = (np.flatnonzero(lens), np.flatnonzero(~lens))
    return [
        np.concatenate([rows[generator.integers(len(rows), size=len(rows))] for rows in classes])
        for _ in range(how.n)
    ]


def _bin(value: _Figures, drawn: list[_Figures], k: int, level: float) -> ReliabilityBin | None:
    """One bin with its intervals, or None if it is empty."""
    if value.n_lens[k] + value.n_other[k] == 0:
        return None
    weight = value.weight_lens[k] + value.weight_other[k]
    totals = [(d.weight_lens[k] + d.weight_other[k], d) for d in drawn]
    shares = [float(d.weight_lens[k] / total) for total, d in totals if total > 0]
    ratio = None
    if value.n_lens[k] >= FEWEST_IN_BIN and value.n_other[k] >= FEWEST_OTHERS_IN_BIN:
        ratios = [float(d.predicted[k] / d.weight_lens[k]) for d in drawn if d.weight_lens[k] > 0]
        ratio = _interval(float(value.predicted[k] / value.weight_lens[k]), ratios, level)
    return ReliabilityBin(
        log_odds=float(special.logit(value.predicted[k] / weight)),
        predicted=float(value.predicted[k] / weight),
        observed=_interval(float(value.weight_lens[k] / weight), shares, level),
        ratio=ratio,
        n_positive=int(value.n_lens[k]),
        n_negative=int(value.n_other[k]),
    )


def _interval(value: float, drawn: list[float], level: float) -> Estimate:
    low, high = np.quantile(drawn or [value], [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(min(low, value)), float(max(high, value)))
